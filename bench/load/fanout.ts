import { StreamPublisher, subscribe, subscribeReading } from "../clients/bus-client.ts";
import { encodePublishRequest } from "../clients/bus-requests.ts";
import { Http2Connection } from "../clients/http2-connection.ts";
import { openNatsPublisher, subscribeNats } from "../clients/nats.ts";
import { indexOf } from "../clients/payload.ts";
import { openRedisPublisher, subscribeRedis } from "../clients/redis.ts";
import { encodeClientFrame, openWebSocket } from "../clients/websocket.ts";
import type { FanoutJob, Measurement } from "./job.ts";
import { measure, settled } from "./sampling.ts";

interface Publisher {
  /** Sends one batch in a write of its own: a publisher that has more at once makes larger batches. */
  send(): void;
  /** False: the protocol has no answers, only deliveries tell how far the server is. */
  readonly answers: boolean;
}

const DRAIN_TIMEOUT_MS = 20_000;

/**
 * Publishes as fast as the bounds allow and counts deliveries. At the end it waits until everyone has everything: a
 * server that loses or doubles a message fails the run instead of looking fast.
 */
export async function runFanout(job: FanoutJob, onProblem: (problem: string) => void): Promise<Measurement> {
  const delivered = new Float64Array(job.subscribers);
  let total = 0;
  let sent = 0;
  let requests = 0;
  let running = true;
  let lagging = 0;
  let needed = -1;

  const onDeliveries = (subscriber: number, messages: number) => {
    const before = delivered[subscriber]!;
    delivered[subscriber] = before + messages;
    total += messages;
    if (before < needed && before + messages >= needed && --lagging === 0) pump();
  };
  const onAnswer = () => {
    requests--;
    pump();
  };
  const pump = () => {
    while (running && lagging === 0 && (job.maxRequests === 0 || requests < job.maxRequests)) {
      if (publisher.answers) requests++;
      sent += job.batch;
      publisher.send();
      // The next batch may go when the slowest has this much.
      needed = sent + job.batch - job.maxLag;
      lagging = 0;
      for (let i = 0; i < delivered.length; i++) if (delivered[i]! < needed) lagging++;
    }
  };

  for (let i = 0; i < job.subscribers; i++) {
    await openSubscriber(job, i, (messages) => onDeliveries(i, messages), onProblem);
  }
  const publisher = await openPublisher(job, onAnswer, onProblem);
  pump();
  const measurement = await measure(job, () => total);
  running = false;
  const everything = () => total >= sent * job.subscribers;
  await settled(everything, DRAIN_TIMEOUT_MS, () => `of ${sent * job.subscribers} deliveries only ${total} came`);
  const wrong = delivered.findIndex((count) => count !== sent);
  if (wrong >= 0) throw new Error(`subscriber ${wrong} got ${delivered[wrong]} of ${sent} messages`);
  return measurement;
}

async function openSubscriber(
  job: FanoutJob,
  index: number,
  onDeliveries: (messages: number) => void,
  onProblem: (problem: string) => void,
): Promise<void> {
  switch (job.dialect) {
    case "grpc": {
      const connection = await Http2Connection.open(job.ports[index % job.ports.length]!);
      const agentId = `bench-subscriber-${index}`;
      if (!job.check) return subscribe(connection, agentId, job.channel, onDeliveries, onProblem);
      let next = 0;
      const onPayload = (bytes: Buffer, offset: number) => {
        const found = indexOf(bytes, offset);
        if (found !== next) onProblem(`subscriber ${index} got message ${found} where ${next} was due`);
        next++;
        onDeliveries(1);
      };
      return subscribeReading(connection, agentId, job.channel, onPayload, onProblem);
    }
    case "ws":
      await openWebSocket(job.port, "/subscribe", onDeliveries, onProblem);
      return;
    case "nats":
      await subscribeNats(job.port, job.channel, onDeliveries, onProblem);
      return;
    case "redis":
      await subscribeRedis(job.port, job.channel, onDeliveries, onProblem);
      return;
    default:
      throw new Error(`nothing fans out over ${job.dialect}`);
  }
}

async function openPublisher(
  job: FanoutJob,
  onAnswer: () => void,
  onProblem: (problem: string) => void,
): Promise<Publisher> {
  switch (job.dialect) {
    case "grpc": {
      const connection = await Http2Connection.open(job.port);
      const options = { channel: job.channel, batch: job.batch, stamp: job.check };
      const publisher = StreamPublisher.open(connection, options, onAnswer, onProblem);
      return { send: () => publisher.sendNow(), answers: true };
    }
    case "ws": {
      const onFrames = (frames: number) => {
        for (let i = 0; i < frames; i++) onAnswer();
      };
      const socket = await openWebSocket(job.port, "/publish", onFrames, onProblem);
      const frame = encodeClientFrame(encodePublishRequest(job.channel, job.batch));
      return { send: () => writeNow(socket, () => socket.write(frame)), answers: true };
    }
    case "nats": {
      const publisher = await openNatsPublisher(job.port, job.channel, job.batch, onProblem);
      return { send: () => writeNow(publisher, () => publisher.send()), answers: false };
    }
    case "redis": {
      const publisher = await openRedisPublisher(job.port, job.channel, job.batch, onProblem);
      return { send: () => writeNow(publisher, () => publisher.send()), answers: false };
    }
    default:
      throw new Error(`nothing fans out over ${job.dialect}`);
  }
}

function writeNow(socket: { flush(): void }, write: () => void): void {
  write();
  socket.flush();
}
