import type { Dialect } from "../harness/server-process.ts";

interface JobBase {
  readonly dialect: Dialect;
  readonly port: number;
  /** Of all nodes, where there are several: clients are spread over them. */
  readonly ports: readonly number[];
  /** Where it is reached, for dialects that need more than a port. */
  readonly url: string;
  /** Whose CPU is counted as the server's: with what they started, and with the storage behind them. */
  readonly serverPids: readonly number[];
  /** Those of them that are the storage behind our nodes; none where there is no such storage. */
  readonly storagePids: readonly number[];
  readonly channel: string;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** One publisher, many subscribers with a connection each, as fast as the bounds allow. */
export interface FanoutJob extends JobBase {
  readonly kind: "fanout";
  readonly subscribers: number;
  /** Messages in one request, or in one write where the protocol has no batches. */
  readonly batch: number;
  /** Requests that may be unanswered at a time; 0: any number. */
  readonly maxRequests: number;
  /** Messages that the publisher may be ahead of the slowest subscriber. */
  readonly maxLag: number;
  /** Decode everything and check content and order instead of only counting. gRPC only. */
  readonly check: boolean;
}

/** Publishers alone, each waiting for answers. */
export interface PublishJob extends JobBase {
  readonly kind: "publish";
  /** `unary`: a call a batch; `stream`: PublishStream, or the pipelined publish of the dialect. */
  readonly mode: "unary" | "stream";
  readonly connections: number;
  readonly batch: number;
  /** Requests in flight on each connection. */
  readonly inFlight: number;
  /** Each connection publishes to a channel of its own. Default: all to one. */
  readonly ownChannels?: boolean;
}

/** A publisher at a steady rate; how long each message takes to each subscriber. */
export interface LatencyJob extends JobBase {
  readonly kind: "latency";
  readonly subscribers: number;
  readonly messagesPerSecond: number;
}

export type Job = FanoutJob | PublishJob | LatencyJob;

/** What one measurement gives. */
export interface Measurement {
  /** Deliveries, or messages acknowledged, in the measured time. */
  readonly operations: number;
  readonly elapsedMs: number;
  readonly serverCpuMicros: number;
  /** The part of it that the storage behind the nodes took. */
  readonly storageCpuMicros: number;
  readonly clientCpuMicros: number;
  /** What the rest of the machine used meanwhile, in cores. */
  readonly otherCores: number;
  /** Sorted; of the messages published in the measured time. Only of latency and unary jobs. */
  readonly p50Ms?: number;
  readonly p99Ms?: number;
}

export interface JobFailure {
  readonly error: string;
}
