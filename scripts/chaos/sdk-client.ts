import { AgentBus, BusError, type LinkOptions, type Subscription } from "agentbus/node";
import { digestOf, type Gapped, parsePlace } from "../../test/support/history.ts";
import type { Recorder } from "./recorder.ts";
import type { ServiceWatch } from "./service-watch.ts";
import { outcomeOfReason } from "./wire-error.ts";
import type { Batch } from "./workload.ts";

/** The SDK is to try until it knows: no fault lasts so long, and the channels remember keys for 2 minutes. */
const SEND_MS = 110_000;
const HEARTBEAT_MS = 1_000;
/** Programs that are to be there when the bus is back. */
const BACKOFF = { initialMs: 50, maxMs: 1_000 };

/** A program that uses the TypeScript SDK and knows all nodes; `first`: the one that it tries first. */
export function openSdk(urls: readonly string[], first: number, options: LinkOptions = {}): AgentBus {
  const turned = urls.map((_url, i) => urls[(first + i) % urls.length]!);
  return new AgentBus({ urls: turned, sendTimeoutMs: SEND_MS, backoff: BACKOFF, onWarning: () => {}, ...options });
}

export interface SdkProducerOptions {
  readonly bus: AgentBus;
  readonly history: Recorder;
  readonly watch: ServiceWatch;
  readonly name: string;
  readonly agent: string;
  readonly next: () => Batch;
  readonly pace: () => Promise<void>;
  readonly stop: AbortSignal;
}

/** Sends without waiting for answers: the order, over cuts and nodes, is the SDK's business. */
export async function runSdkProducer(options: SdkProducerOptions): Promise<void> {
  const { bus, history, watch, name, next, pace, stop } = options;
  const agent = bus.agent(options.agent);
  const underWay = new Set<Promise<void>>();
  const failure: { error?: unknown } = {};
  while (!stop.aborted && failure.error === undefined) {
    await pace();
    const { request, messages, channel, audience } = next();
    request.messages.forEach((message, i) => {
      const { id, digest } = messages[i]!;
      const attempt = history.name(`${name}-attempt`);
      history.record({ kind: "attempted", attempt, producer: name, sender: agent.id, channel, id, digest, audience });
      const to = message.to?.agents;
      const sent = agent
        .send(message.payload.case === "text" ? message.payload.value : "", {
          id,
          idempotencyKey: message.idempotencyKey,
          ...(request.room === "" ? {} : { channel }),
          ...(to === undefined ? {} : { to: to.length === 1 ? to[0]! : to }),
        })
        .then(
          ({ position, duplicate }) => {
            history.record({ kind: "acked", attempt, place: parsePlace(position), duplicate, atMs: Date.now() });
            watch.onAcked(name, 1);
          },
          (error: unknown) => {
            const reason = error instanceof BusError ? error.reason : "";
            const isUnknown = outcomeOfReason(reason === "" ? "DEADLINE" : reason, error) === "unknown";
            history.record({ kind: isUnknown ? "unknown" : "failed", attempt });
          },
        )
        .catch((error: unknown) => {
          failure.error = error;
        })
        .finally(() => underWay.delete(sent));
      underWay.add(sent);
    });
  }
  await Promise.all(underWay);
  if (failure.error !== undefined) throw failure.error;
}

export interface SdkReaderOptions {
  readonly bus: AgentBus;
  readonly history: Recorder;
  readonly watch: ServiceWatch;
  readonly name: string;
  readonly agent: string;
  readonly reads: { readonly channels?: readonly string[]; readonly patterns?: readonly string[] };
  readonly onMessage: (channel: string, id: string) => void;
}

const CAUSES: Readonly<Record<string, Gapped["cause"]>> = {
  retention: "RETENTION",
  new_epoch: "NEW_EPOCH",
  damaged: "DAMAGED",
};

/** A subscription of the SDK, written down as one stream: how it was cut and resumed is the SDK's business. */
export class SdkReader {
  readonly done: Promise<void>;
  readonly #options: SdkReaderOptions;
  readonly #subscription: Subscription;

  constructor(options: SdkReaderOptions) {
    this.#options = options;
    const { bus, agent, reads } = options;
    this.#subscription = bus.agent(agent).subscribe({
      ...reads,
      start: "earliest",
      heartbeatIntervalMs: HEARTBEAT_MS,
    });
    this.done = this.#read();
  }

  async close(): Promise<void> {
    await this.#subscription.close();
    await this.done;
  }

  async #read(): Promise<void> {
    const { history, watch, name, agent, onMessage } = this.#options;
    const stream = history.name(`${name}-stream`);
    history.record({ kind: "opened", stream, reader: name, agent, start: "earliest" });
    for await (const event of this.#subscription.events()) {
      if (event.type === "opened") watch.onOpened(name);
      if (event.type === "cut") watch.onCut(name);
      if (event.type === "gap") {
        const { channel, firstSequence, lastSequence = 0, cause } = event.gap;
        history.record({
          kind: "gap",
          stream,
          channel,
          first: firstSequence,
          last: lastSequence,
          cause: CAUSES[cause]!,
        });
      }
      if (event.type !== "message") continue;
      const { message } = event;
      const { id, sender, address, epoch, sequence } = message;
      const place = { channel: address, epoch, sequence };
      history.record({ kind: "delivered", stream, place, id, sender, digest: digestOf(message.text) });
      watch.onRead(name, message.acceptedAt?.getTime() ?? 0);
      onMessage(address, id);
    }
  }
}
