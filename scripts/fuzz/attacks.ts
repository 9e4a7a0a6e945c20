import http2 from "node:http2";
import net from "node:net";
import { CORPUS } from "./corpus.ts";
import { HTTP2_PREFACE, hpackLiteral, http2Frame } from "./http2-bytes.ts";
import { below, mutate, pick, type Random, randomBytes } from "./mutate.ts";

/** One throw at the port. Resolves when it is over; what the server answers is its own business. */
export type Attack = (target: Target, random: Random) => Promise<void>;

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** So long the server may think about it before the attacker leaves. */
const PATIENCE_MS = 40;

const CONTENT_TYPES = [
  "application/grpc",
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpc-web+proto",
  "application/grpc-web-text",
  "application/connect+proto",
  "application/connect+json",
  "application/proto",
  "application/json",
  "text/plain",
];

export const ATTACKS: Readonly<Record<string, Attack>> = {
  "raw bytes": (target, random) => {
    const noise = randomBytes(random, below(random, 2_000));
    return throwBytes(target, random() < 0.3 ? Buffer.concat([HTTP2_PREFACE, noise]) : noise);
  },
  "HTTP/1.1": (target, random) => throwBytes(target, mutate(random, http1Request(random))),
  "HTTP/2 frames": (target, random) => throwBytes(target, http2Bytes(random)),
  "gRPC and Connect frames": callOverHttp2,
  JSON: (target, random) => {
    const { path, json } = pick(random, CORPUS);
    return throwBytes(target, http1Bytes(path, "application/json", mutate(random, Buffer.from(json))));
  },
};

/** Writes, half-closes (or not), and leaves when the server closes or is not done soon. */
function throwBytes({ host, port }: Target, bytes: Uint8Array): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const socket = net.connect({ host, port });
  const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
  socket.on("error", () => {}); // a reset is an answer
  socket.once("close", () => {
    clearTimeout(timer);
    resolve();
  });
  socket.resume();
  if (bytes.length % 2 === 0) socket.end(bytes);
  else socket.write(bytes);
  return promise;
}

function http1Bytes(path: string, contentType: string, body: Uint8Array): Buffer {
  const head = [
    `POST ${path} HTTP/1.1`,
    "host: 127.0.0.1",
    `content-type: ${contentType}`,
    `content-length: ${body.length}`,
    "connection: close",
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]);
}

function http1Request(random: Random): Buffer {
  const { path, binary, json } = pick(random, CORPUS);
  const contentType = pick(random, CONTENT_TYPES);
  const body = contentType.endsWith("json") ? Buffer.from(json) : binary;
  const request = http1Bytes(path, contentType, body);
  if (random() > 0.2) return request;
  // Two lengths, and chunks that are none: requests must not slip into each other.
  return Buffer.from(
    request.toString("latin1").replace("\r\n\r\n", "\r\ntransfer-encoding: chunked\r\n\r\n"),
    "latin1",
  );
}

/** A good beginning, then frames of every kind, whole and broken. */
function http2Bytes(random: Random): Buffer {
  const parts = [HTTP2_PREFACE, http2Frame({ type: 4, flags: 0, stream: 0, payload: Buffer.alloc(0) })];
  for (let left = below(random, 12); left > 0; left--) {
    const { path, binary } = pick(random, CORPUS);
    const stream = random() < 0.8 ? 1 + 2 * below(random, 4) : below(random, 2 ** 31);
    if (random() < 0.4) {
      const headers = hpackLiteral({
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "127.0.0.1",
        "content-type": pick(random, CONTENT_TYPES),
      });
      const payload = random() < 0.3 ? mutate(random, headers) : headers;
      parts.push(http2Frame({ type: 1, flags: pick(random, [4, 5, 0]), stream, payload }));
    } else {
      const payload = random() < 0.5 ? grpcFrame(random, binary) : randomBytes(random, below(random, 200));
      parts.push(
        http2Frame({ type: pick(random, [0, 0, 0, below(random, 12)]), flags: below(random, 256), stream, payload }),
      );
    }
  }
  const bytes = Buffer.concat(parts);
  return random() < 0.3 ? Buffer.concat([HTTP2_PREFACE, mutate(random, bytes.subarray(HTTP2_PREFACE.length))]) : bytes;
}

/** A message in its envelope; flags and length are wrong now and then. */
function grpcFrame(random: Random, message: Uint8Array): Buffer {
  const payload = random() < 0.7 ? mutate(random, message) : Buffer.from(message);
  const head = Buffer.alloc(5);
  head[0] = random() < 0.8 ? 0 : below(random, 256);
  const length = random() < 0.8 ? payload.length : pick(random, [0, 1, payload.length + 1, 0x7fffffff, 0xffffffff]);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, payload]);
}

/** A well-formed HTTP/2 exchange with a body that is not. */
async function callOverHttp2({ host, port }: Target, random: Random): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const session = http2.connect(`http://${host}:${port}`);
  const leave = () => session.destroy();
  const timer = setTimeout(leave, PATIENCE_MS);
  session.on("error", () => {}); // a GOAWAY is an answer
  session.once("close", () => {
    clearTimeout(timer);
    resolve();
  });
  for (let left = 1 + below(random, 4); left > 0; left--) {
    const { path, binary, json, streams } = pick(random, CORPUS);
    const contentType = pick(random, CONTENT_TYPES);
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": contentType,
      ...(random() < 0.2 ? { "grpc-timeout": pick(random, ["1m", "0n", "99999999H", "-1S", "1"]) } : {}),
      ...(random() < 0.2 ? { "connect-timeout-ms": pick(random, ["1", "0", "9999999999", "x"]) } : {}),
      ...(random() < 0.1 ? { "grpc-encoding": pick(random, ["gzip", "br", "identity", "?"]) } : {}),
    });
    stream.on("error", () => {});
    stream.resume();
    const message = contentType.includes("json") ? Buffer.from(json) : binary;
    const enveloped = streams || contentType.includes("grpc");
    for (let frames = enveloped ? 1 + below(random, 3) : 1; frames > 0; frames--) {
      stream.write(enveloped ? grpcFrame(random, message) : mutate(random, message));
    }
    if (random() < 0.7) stream.end();
    else if (random() < 0.5) stream.close(http2.constants.NGHTTP2_CANCEL);
  }
  await promise;
}
