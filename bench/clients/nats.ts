import { createPayload, PAYLOAD_BYTES } from "./payload.ts";
import { openRawSocket, type RawSocket } from "./raw-socket.ts";
import { TextProtocolCounter } from "./text-protocol-counter.ts";

const CONNECT = `CONNECT {"verbose":false,"pedantic":false,"echo":true,"name":"agentbus-bench"}\r\n`;

/** Subscribes to one subject; resolves when the server has the subscription. */
export async function subscribeNats(
  port: number,
  subject: string,
  onDeliveries: (messages: number) => void,
  onProblem: (problem: string) => void,
): Promise<RawSocket> {
  let ready = (): void => {};
  const subscribed = new Promise<void>((resolve) => (ready = resolve));
  const counter = new TextProtocolCounter({
    prefix: `MSG ${subject} 1 `,
    onLine(line) {
      if (line === "PONG") ready();
      else if (line === "PING") socket.write(Buffer.from("PONG\r\n"));
      else if (line.startsWith("-ERR")) onProblem(`nats: ${line}`);
    },
  });
  const socket = await openRawSocket(
    port,
    (bytes, end) => {
      const messages = counter.count(bytes, end);
      if (messages > 0) onDeliveries(messages);
    },
    (problem) => onProblem(`a nats subscriber lost its connection: ${problem}`),
  );
  socket.write(Buffer.from(`${CONNECT}SUB ${subject} 1\r\nPING\r\n`));
  await subscribed;
  return socket;
}

/** Publishes batches to a subject, each batch as so many PUB lines in one write. Core NATS does not answer. */
export async function openNatsPublisher(
  port: number,
  subject: string,
  batch: number,
  onProblem: (problem: string) => void,
): Promise<RawSocket & { send(): void }> {
  const socket = await subscribeNats(port, `${subject}.unused`, () => {}, onProblem);
  const publish = Buffer.concat([
    Buffer.from(`PUB ${subject} ${PAYLOAD_BYTES}\r\n`),
    createPayload(),
    Buffer.from("\r\n"),
  ]);
  const write = Buffer.concat(Array.from({ length: batch }, () => publish));
  return { ...socket, send: () => socket.write(write) };
}

const ACK_INBOX = "_INBOX.bench";
const STREAM_INBOX = "_INBOX.stream";

/** Publishes to a JetStream stream on file storage and counts the acknowledgements. */
export interface JetStreamPublisher {
  send(): void;
  /** How many messages the stream says that it holds. */
  storedMessages(): Promise<number>;
  close(): void;
}

/** Creates the stream and opens a publisher; `onAcks` gets how many publishes were acknowledged. */
export async function openJetStreamPublisher(
  port: number,
  stream: string,
  onAcks: (acks: number) => void,
  onProblem: (problem: string) => void,
): Promise<JetStreamPublisher> {
  const subject = `bench.${stream}`;
  await requestJetStream(port, `STREAM.CREATE.${stream}`, { name: stream, subjects: [subject], storage: "file" });
  const socket = await subscribeNats(port, ACK_INBOX, onAcks, onProblem);
  const publish = Buffer.concat([
    Buffer.from(`PUB ${subject} ${ACK_INBOX} ${PAYLOAD_BYTES}\r\n`),
    createPayload(),
    Buffer.from("\r\n"),
  ]);
  return {
    send: () => socket.write(publish),
    async storedMessages() {
      const answer = await requestJetStream(port, `STREAM.INFO.${stream}`, undefined);
      return (answer as { state: { messages: number } }).state.messages;
    },
    close: () => socket.close(),
  };
}

/** One request to the JetStream API. Throws what it answers as an error. */
async function requestJetStream(port: number, api: string, body: object | undefined): Promise<unknown> {
  const json = body ? JSON.stringify(body) : "";
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const socket = await openRawSocket(
    port,
    (bytes, end) => {
      // The answer is one line of JSON behind its MSG line.
      const line = bytes
        .toString("utf8", 0, end)
        .split("\r\n")
        .find((text) => text.startsWith("{"));
      if (!line) return;
      const answer = JSON.parse(line) as { error?: { description: string } };
      if (answer.error) reject(new Error(`JetStream ${api}: ${answer.error.description}`));
      else resolve(answer);
    },
    (problem) => reject(new Error(`JetStream ${api}: ${problem}`)),
  );
  socket.write(
    Buffer.from(`${CONNECT}SUB ${STREAM_INBOX} 1\r\nPUB $JS.API.${api} ${STREAM_INBOX} ${json.length}\r\n${json}\r\n`),
  );
  try {
    return await promise;
  } finally {
    socket.close();
  }
}
