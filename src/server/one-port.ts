import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { TlsMaterial } from "./tls-material.ts";

export interface OnePortOptions {
  /** Unset: plain text. */
  readonly tls?: TlsMaterial;
  /** How long a connection may take to show its protocol, and how long to finish its TLS handshake. */
  readonly prefaceTimeoutMs: number;
  /** After how much silence the kernel asks whether the peer is there. */
  readonly keepAliveMs: number;
  /** Gets a connection that speaks HTTP/1, its bytes still unread. */
  readonly onHttp1: (socket: Socket) => void;
  /** Gets a connection that speaks HTTP/2. */
  readonly onHttp2: (socket: Socket) => void;
}

const PREFACE = Buffer.from("PRI * HTTP/2.0");

/**
 * Listens for HTTP/1 and HTTP/2 on one port: the first bytes of a connection tell which. Node's own `allowHTTP1` does that
 * by ALPN alone, so not in plain text. Under TLS the two are offered by ALPN, and then the bytes decide just the same.
 */
export function createOnePort(options: OnePortOptions): Server {
  const socketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: options.keepAliveMs };
  const accept = (socket: Socket) => sniff(socket, options);
  if (options.tls === undefined) return createServer(socketOptions, accept);
  const { cert, key, ca, requestClientCert } = options.tls;
  const server = createTlsServer(
    {
      ...socketOptions,
      cert,
      key,
      ...(ca !== undefined && { ca }),
      requestCert: requestClientCert,
      rejectUnauthorized: requestClientCert,
      ALPNProtocols: ["h2", "http/1.1"],
      minVersion: "TLSv1.2",
      handshakeTimeout: options.prefaceTimeoutMs,
    },
    accept,
  );
  // Until its handshake is done, nobody else listens to a connection's errors.
  server.on("connection", (socket) => socket.on("error", ignore));
  // Node tells of a handshake that takes too long, and leaves the connection open.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}

function sniff(socket: Socket, { prefaceTimeoutMs, onHttp1, onHttp2 }: OnePortOptions): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(() => socket.destroy(), prefaceTimeoutMs);
  socket.on("error", ignore);
  socket.once("close", () => clearTimeout(timer));
  socket.on("readable", function onReadable() {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const isHttp2 = seen.compare(PREFACE, 0, length, 0, length) === 0;
    if (isHttp2 && length < PREFACE.length) return; // both are still possible
    clearTimeout(timer);
    socket.removeListener("readable", onReadable);
    socket.unshift(seen);
    if (isHttp2) onHttp2(socket);
    else onHttp1(socket);
  });
}

function ignore(): void {
  // A connection that breaks is closed by Node; whose call it carried is told by the call.
}
