import { StreamPublisher } from "../clients/bus-client.ts";
import { encodePublishRequest, frameGrpc, PATH } from "../clients/bus-requests.ts";
import { Http2Connection } from "../clients/http2-connection.ts";
import { openJetStreamPublisher } from "../clients/nats.ts";
import { openXaddPublisher, streamLength } from "../clients/redis.ts";
import { openRows } from "../clients/rows.ts";
import type { Measurement, PublishJob } from "./job.ts";
import { LatencyRecorder } from "./latency-recorder.ts";
import { measure, settled } from "./sampling.ts";

type OnProblem = (problem: string) => void;

/** Keeps so many publishes in flight and counts the messages that were acknowledged. */
interface Flow {
  acknowledged: number;
  sent: number;
  running: boolean;
  /** What the server itself says that it holds, where it can be asked. */
  stored?: () => Promise<number>;
}

const DRAIN_TIMEOUT_MS = 20_000;

export async function runPublish(job: PublishJob, onProblem: OnProblem): Promise<Measurement> {
  const flow: Flow = { acknowledged: 0, sent: 0, running: true };
  const latencies = new LatencyRecorder();
  for (let i = 0; i < job.connections; i++) await start(job, i, flow, latencies, onProblem);
  const measurement = await measure(
    job,
    () => flow.acknowledged,
    () => latencies.start(),
  );
  latencies.stop();
  flow.running = false;
  const explain = () => `of ${flow.sent} messages only ${flow.acknowledged} were acknowledged`;
  await settled(() => flow.acknowledged === flow.sent, DRAIN_TIMEOUT_MS, explain);
  const stored = await flow.stored?.();
  if (stored !== undefined && stored !== flow.sent) throw new Error(`${stored} messages are stored, not ${flow.sent}`);
  return job.mode === "unary" ? { ...measurement, ...latencies.percentiles() } : measurement;
}

function start(
  job: PublishJob,
  index: number,
  flow: Flow,
  latencies: LatencyRecorder,
  onProblem: OnProblem,
): Promise<void> {
  if (job.mode === "unary") return startUnary(job, index, flow, latencies, onProblem);
  if (job.dialect === "nats") return startJetStream(job, flow, onProblem);
  if (job.dialect === "redis") return startXadd(job, flow, onProblem);
  if (job.dialect === "postgres" || job.dialect === "mysql") return startRows(job, flow, onProblem);
  return startStream(job, index, flow, onProblem);
}

/** Each connection has an agent of its own, as separate publishers would. */
const agentOf = (index: number) => `bench-publisher-${index}`;

async function startUnary(
  job: PublishJob,
  index: number,
  flow: Flow,
  latencies: LatencyRecorder,
  onProblem: OnProblem,
): Promise<void> {
  const connection = await Http2Connection.open(job.port);
  const request = frameGrpc(encodePublishRequest(job.channel, job.batch, agentOf(index)));
  const call = () => {
    const startedAt = performance.now();
    let answered = false;
    flow.sent += job.batch;
    const id = connection.open(PATH.publish, {
      data: () => {
        answered = true;
      },
      ended(problem) {
        if (problem !== undefined || !answered) {
          onProblem(`a publish failed: ${problem ?? "the server answered with a status"}`);
          return;
        }
        latencies.record(startedAt, performance.now());
        flow.acknowledged += job.batch;
        if (flow.running) call();
      },
    });
    connection.send(id, request, true);
  };
  for (let i = 0; i < job.inFlight; i++) call();
}

async function startStream(job: PublishJob, index: number, flow: Flow, onProblem: OnProblem): Promise<void> {
  const connection = await Http2Connection.open(job.ports[index % job.ports.length]!);
  const onAnswer = () => {
    flow.acknowledged += job.batch;
    if (flow.running) send();
  };
  const channel = job.ownChannels ? `${job.channel}-${index}` : job.channel;
  const options = { channel, batch: job.batch, agentId: agentOf(index) };
  const publisher = StreamPublisher.open(connection, options, onAnswer, onProblem);
  const send = () => {
    flow.sent += job.batch;
    publisher.send();
  };
  for (let i = 0; i < job.inFlight; i++) send();
}

async function startJetStream(job: PublishJob, flow: Flow, onProblem: OnProblem): Promise<void> {
  const publisher = await openJetStreamPublisher(
    job.port,
    job.channel,
    refill(flow, () => publisher.send()),
    onProblem,
  );
  flow.stored = () => publisher.storedMessages();
  for (let i = 0; i < job.inFlight; i++, flow.sent++) publisher.send();
}

async function startXadd(job: PublishJob, flow: Flow, onProblem: OnProblem): Promise<void> {
  const publisher = await openXaddPublisher(
    job.port,
    job.channel,
    refill(flow, () => publisher.send()),
    onProblem,
  );
  flow.stored = () => streamLength(job.port, job.channel);
  for (let i = 0; i < job.inFlight; i++, flow.sent++) publisher.send();
}

/** One row an insert, each its own transaction: what somebody writes who puts messages into a table. */
async function startRows(job: PublishJob, flow: Flow, onProblem: OnProblem): Promise<void> {
  const rows = await openRows(job.dialect as "postgres" | "mysql", job.url, job.channel);
  flow.stored = () => rows.stored();
  const insert = async (): Promise<void> => {
    while (flow.running) {
      flow.sent++;
      await rows.insert();
      flow.acknowledged++;
    }
  };
  for (let i = 0; i < job.inFlight; i++) insert().catch((error: unknown) => onProblem(`an insert failed: ${error}`));
}

/** One new message for each that was acknowledged. */
function refill(flow: Flow, send: () => void): (acknowledged: number) => void {
  return (acknowledged) => {
    flow.acknowledged += acknowledged;
    if (!flow.running) return;
    for (let i = 0; i < acknowledged; i++) send();
    flow.sent += acknowledged;
  };
}
