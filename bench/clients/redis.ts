import { createPayload, PAYLOAD_BYTES } from "./payload.ts";
import { openRawSocket, type RawSocket } from "./raw-socket.ts";
import { TextProtocolCounter } from "./text-protocol-counter.ts";

/** Encodes one command in RESP. */
function encodeCommand(...parts: readonly (string | Buffer)[]): Buffer {
  const pieces: (string | Buffer)[] = [`*${parts.length}\r\n`];
  for (const part of parts) pieces.push(`$${part.length}\r\n`, part, "\r\n");
  return Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece)));
}

/** Subscribes to one channel; resolves when the server has the subscription. */
export async function subscribeRedis(
  port: number,
  channel: string,
  onDeliveries: (messages: number) => void,
  onProblem: (problem: string) => void,
): Promise<RawSocket> {
  let ready = (): void => {};
  const subscribed = new Promise<void>((resolve) => (ready = resolve));
  const counter = new TextProtocolCounter({
    prefix: `*3\r\n$7\r\nmessage\r\n$${channel.length}\r\n${channel}\r\n$`,
    onLine(line) {
      // The last line of the answer to SUBSCRIBE, which starts as a delivery does.
      if (line === ":1") {
        counter.countDeliveries = true;
        ready();
      } else if (line.startsWith("-")) onProblem(`redis: ${line}`);
    },
  });
  counter.countDeliveries = false;
  const socket = await openRawSocket(
    port,
    (bytes, end) => {
      const messages = counter.count(bytes, end);
      if (messages > 0) onDeliveries(messages);
    },
    (problem) => onProblem(`a redis subscriber lost its connection: ${problem}`),
  );
  socket.write(encodeCommand("SUBSCRIBE", channel));
  await subscribed;
  return socket;
}

/** Publishes batches, each as so many PUBLISH commands in one write. */
export async function openRedisPublisher(
  port: number,
  channel: string,
  batch: number,
  onProblem: (problem: string) => void,
): Promise<RawSocket & { send(): void }> {
  const socket = await openReplyCounter(port, ":", () => {}, onProblem);
  const command = encodeCommand("PUBLISH", channel, createPayload());
  const write = Buffer.concat(Array.from({ length: batch }, () => command));
  return { ...socket, send: () => socket.write(write) };
}

/** Appends messages to a Redis stream, each with its own XADD, and counts the answers. */
export async function openXaddPublisher(
  port: number,
  stream: string,
  onAnswers: (answers: number) => void,
  onProblem: (problem: string) => void,
): Promise<RawSocket & { send(): void }> {
  const socket = await openReplyCounter(port, "$", onAnswers, onProblem);
  const command = encodeCommand("XADD", stream, "*", "d", createPayload());
  return { ...socket, send: () => socket.write(command) };
}

/** How many entries a Redis stream holds. */
export async function streamLength(port: number, stream: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = await openRawSocket(
    port,
    (bytes, end) => resolve(Number(bytes.toString("latin1", 1, end))),
    (problem) => reject(new Error(`XLEN: ${problem}`)),
  );
  socket.write(encodeCommand("XLEN", stream));
  try {
    return await promise;
  } finally {
    socket.close();
  }
}

/** Counts answers by the lines that start with `mark`. */
async function openReplyCounter(
  port: number,
  mark: string,
  onAnswers: (answers: number) => void,
  onProblem: (problem: string) => void,
): Promise<RawSocket> {
  let answers = 0;
  const lines = new TextProtocolCounter({
    prefix: "\0".repeat(PAYLOAD_BYTES),
    onLine(line) {
      if (line.startsWith(mark)) answers++;
      else if (line.startsWith("-")) onProblem(`redis: ${line}`);
    },
  });
  lines.countDeliveries = false;
  return openRawSocket(
    port,
    (bytes, end) => {
      answers = 0;
      lines.count(bytes, end);
      if (answers > 0) onAnswers(answers);
    },
    (problem) => onProblem(`a redis publisher lost its connection: ${problem}`),
  );
}
