import { once } from "node:events";
import { type ClientHttp2Session, connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import type { Authenticator } from "../../src/core/identity.ts";
import type { Logger } from "../../src/core/logger.ts";
import { createMeters, type ReadableMeters } from "../../src/observability/meters.ts";
import { createApiKeyAuthenticator } from "../../src/server/api-keys.ts";
import { createEndpoints } from "../../src/server/endpoints.ts";
import { createHealthState, type HealthState } from "../../src/server/health-state.ts";
import { createServer, type Server, type ServerOptions } from "../../src/server/server.ts";

// Set-up of the tests in src/server: a server with short timeouts, and clients as raw as the tests need them.

export interface TestServer {
  readonly server: Server;
  readonly url: string;
  readonly port: number;
  readonly health: HealthState;
  readonly meters: ReadableMeters;
}

export interface TestServerOptions extends Partial<ServerOptions> {
  readonly problems?: () => readonly string[];
  readonly authenticator?: Authenticator;
  readonly publicEndpoints?: { readonly health: boolean; readonly metrics: boolean };
}

export const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Listens until the test ends. What no option takes is answered "portable". */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { problems = () => [], authenticator = createApiKeyAuthenticator([]), publicEndpoints, ...rest } = options;
  const meters = createMeters({ process: false });
  const clock = {
    every: (ms: number, task: () => void) => clearInterval.bind(undefined, setInterval(task, ms).unref()),
  };
  const health = createHealthState({ services: ["agentbus.v1.BusService"], problems, clock, pollMs: 10 });
  const endpoints = createEndpoints({
    node: { id: "n1", name: "Test" },
    version: "1.2.3",
    protocolVersion: "1.0",
    health,
    meters,
    authenticator,
    public: publicEndpoints ?? { health: true, metrics: false },
  });
  const server = createServer({
    host: "127.0.0.1",
    port: 0,
    checkHost: true,
    allowedHosts: [],
    allowedOrigins: [],
    maxConnections: 100,
    maxStreamsPerConnection: 100,
    headersTimeoutMs: 10_000,
    requestTimeoutMs: 10_000,
    keepAliveTimeoutMs: 10_000,
    prefaceTimeoutMs: 10_000,
    pingIntervalMs: 10_000,
    pingTimeoutMs: 10_000,
    endpoints,
    onRequest: (_request, response) => void response.end("portable"),
    health,
    meters,
    log: SILENT,
    ...rest,
  });
  const { url, port } = await server.listen();
  health.serving();
  onTestFinished(() => server.close());
  return { server, url, port, health, meters };
}

/** A raw connection, closed when the test ends. */
export async function openSocket(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.on("error", () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Everything the peer sends until it closes; what a reset swallowed is missing. */
export function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
  return new Promise((resolve) => {
    const done = () => resolve(Buffer.concat(chunks).toString("latin1"));
    socket.once("end", done).once("close", done);
  });
}

/** An HTTP/2 session, closed when the test ends. */
export async function openSession(
  url: string,
  options: Parameters<typeof connectHttp2>[1] = {},
): Promise<ClientHttp2Session> {
  const session = connectHttp2(url, options);
  session.on("error", () => {});
  onTestFinished(() => session.destroy());
  await once(session, "connect");
  return session;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One call over HTTP/2. */
export async function call(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body?: Buffer,
): Promise<Reply> {
  const stream = session.request({ ":path": "/", ...headers });
  stream.on("error", () => {});
  stream.end(body);
  const [received] = (await once(stream, "response")) as [IncomingHttpHeaders];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { status: Number(received[":status"]), headers: received, body: Buffer.concat(chunks).toString() };
}

/** The value of one series. */
export async function metric(meters: ReadableMeters, series: string): Promise<number> {
  const line = (await meters.text()).split("\n").find((text) => text.startsWith(`${series} `));
  return Number(line?.split(" ")[1]);
}
