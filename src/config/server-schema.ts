import { z } from "zod";
import { count, duration } from "./fields.ts";

const tls = z.strictObject({
  cert: z.string().min(1).describe("File with the certificate chain, PEM."),
  key: z.string().min(1).describe("File with the private key, PEM."),
  ca: z.string().min(1).optional().describe("File with the authorities that sign clients' certificates, PEM."),
  requestClientCert: z
    .boolean()
    .default(false)
    .describe("Whether clients must present a certificate that `ca` signed. Needs `ca`."),
});

/** A host as it stands in a Host header, with or without port; `*` alone is any. */
const allowedHost = z
  .string()
  .regex(
    /^(?:\*|(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?)$/,
    'must be like "bus.example.com" or "bus.example.com:7400"',
  )
  .transform((host) => host.toLowerCase());

const allowedOrigin = z
  .string()
  .regex(/^(?:\*|null|[a-z][a-z0-9+.-]*:\/\/[^/\s]+)$/i, 'must be like "https://console.example.com", without a path')
  .transform((origin) => origin.toLowerCase());

/** The listener: where, for whom, and how patient it is. */
export const serverSchema = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default("127.0.0.1")
      .describe("Address to listen on. Beyond loopback only with API keys or `unsafePublic`."),
    port: count(0, 65_535).default(7400).describe("Port to listen on; 0 takes a free one."),
    allowedHosts: z
      .array(allowedHost)
      .max(1_000)
      .default([])
      .describe(
        "Names under which clients may call, as in the Host header. Loopback names are always among them on a loopback `host`. Beyond loopback, unset means any.",
      ),
    allowedOrigins: z
      .array(allowedOrigin)
      .max(1_000)
      .default([])
      .describe(
        "Origins of web pages that may call from a browser. Pages of the bus itself always may; `*` is every page.",
      ),
    unsafePublic: z
      .boolean()
      .default(false)
      .describe("Listen beyond loopback without API keys: everyone who reaches the port may act for every agent."),
    drain: duration("0s", "10m")
      .prefault("10s")
      .describe(
        "How long calls may go on after SIGTERM before their streams are ended. What is still open 2 s later is cut.",
      ),
    maxConnections: count(1, 1_000_000)
      .default(20_000)
      .describe("TCP connections at the same time; more are closed at once."),
    maxStreamsPerConnection: count(1, 100_000)
      .default(4_096)
      .describe("Calls at the same time on one HTTP/2 connection; clients queue what is more."),
    headersTimeout: duration("100ms", "10m")
      .prefault("10s")
      .describe("How long an HTTP/1.1 request may take to send its headers."),
    requestTimeout: duration("100ms", "1h")
      .prefault("5m")
      .describe("How long an HTTP/1.1 request may take to arrive in full."),
    keepAliveTimeout: duration("100ms", "1h")
      .prefault("65s")
      .describe("How long an idle HTTP/1.1 connection is kept. Longer than the 60 s of common load balancers."),
    prefaceTimeout: duration("100ms", "10m")
      .prefault("10s")
      .describe(
        "How long a new connection may take to show which protocol it speaks, and to finish its TLS handshake.",
      ),
    pingInterval: duration("100ms", "1h")
      .prefault("20s")
      .describe("How often an HTTP/2 peer is asked whether it is there."),
    pingTimeout: duration("100ms", "10m")
      .prefault("10s")
      .describe("How long it may take to answer before its connection is cut."),
    tls: tls.optional().describe("TLS on the port. Unset: plain text."),
  })
  .transform(
    ({
      drain,
      headersTimeout,
      requestTimeout,
      keepAliveTimeout,
      prefaceTimeout,
      pingInterval,
      pingTimeout,
      ...rest
    }) => ({
      ...rest,
      drainMs: drain,
      headersTimeoutMs: headersTimeout,
      requestTimeoutMs: requestTimeout,
      keepAliveTimeoutMs: keepAliveTimeout,
      prefaceTimeoutMs: prefaceTimeout,
      pingIntervalMs: pingInterval,
      pingTimeoutMs: pingTimeout,
    }),
  );
