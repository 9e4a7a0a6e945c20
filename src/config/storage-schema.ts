import { z } from "zod";
import { count, duration, size } from "./fields.ts";

const MAX_DEDUP_KEYS = 16_000_000;

/** How many idempotency keys are kept, of everything that the text names. */
const dedupKeys = (fallback: number, text: string) => count(1, MAX_DEDUP_KEYS).default(fallback).describe(text);
const IN_MEMORY =
  "Idempotency keys that the node keeps in memory, of all channels together, 44 bytes each; beyond, the oldest are forgotten, " +
  "even within `dedupWindow`.";

/** Names tables, schemas and keys, so it is what all of them allow. */
export const PREFIX_PATTERN = /^(?!pg_)[a-z][a-z0-9_]{0,31}$/;
export const PREFIX_RULE = "must be 1 to 32 of a-z 0-9 _, starting with a letter and not with pg_";

const memory = z.strictObject({
  ringSize: count(1, 100_000_000).default(10_000).describe("Messages kept of one channel."),
  maxBytes: size("1MiB", "1024TiB").prefault("512MiB").describe("Bytes kept of all channels; the oldest go first."),
  dedupKeys: dedupKeys(1_000_000, IN_MEMORY),
});

const file = z.strictObject({
  maxBytes: size("1MiB", "1024TiB")
    .prefault("64GiB")
    .describe("Size of the database file; beyond it publishes are refused with STORAGE_FULL."),
  dedupKeys: dedupKeys(1_000_000, IN_MEMORY),
});

const shared = z
  .strictObject({
    prefix: z
      .string()
      .regex(PREFIX_PATTERN, PREFIX_RULE)
      .default("agentbus")
      .describe(
        "What this bus is called on the server, so that several share one: key prefix (Redis), schema (PostgreSQL), table " +
          "prefix (MySQL). `?prefix=` in the URL wins.",
      ),
    connections: count(1, 200).default(8).describe("Connections of one node at most, besides the listening one."),
    connectTimeout: duration("100ms", "60s").prefault("5s").describe("How long connecting may take."),
    timeout: duration("100ms", "60s")
      .prefault("5s")
      .describe("How long one operation may take; then the call fails with STORAGE_UNAVAILABLE."),
    maxPendingBytes: size("1MiB", "4GiB")
      .prefault("64MiB")
      .describe("Bytes of messages that may wait for the server; beyond, publishes are refused with OVERLOADED."),
  })
  .transform(({ connectTimeout, timeout, ...rest }) => ({
    ...rest,
    connectTimeoutMs: connectTimeout,
    timeoutMs: timeout,
  }));

const RELAY =
  "Bytes of VOLATILE messages and rings on their way to other nodes; beyond, they are dropped, which is told.";

const redis = z
  .strictObject({
    dedupKeys: dedupKeys(
      1_000_000,
      "Idempotency keys of one channel after which older ones may be forgotten, even within `dedupWindow`: the server keeps " +
        "between so many and twice as many, about 150 bytes each.",
    ),
    maxRelayBytes: size("1MiB", "1GiB").prefault("32MiB").describe(RELAY),
    heartbeat: duration("100ms", "60s")
      .prefault("1s")
      .describe("How often each connection is asked whether it is alive."),
    ioredis: z
      .record(z.string(), z.unknown())
      .default({})
      .describe(
        "Passed through to ioredis: options of Redis, Cluster or Sentinel, such as `tls` or `sentinelPassword`.",
      ),
  })
  .transform(({ heartbeat, ...rest }) => ({ ...rest, heartbeatMs: heartbeat }));

const postgres = z
  .strictObject({
    dedupKeys: dedupKeys(
      MAX_DEDUP_KEYS,
      "Idempotency keys that the server keeps, of all channels together, about 150 bytes each with their index; the sweep " +
        "removes the oldest beyond, even within `dedupWindow`.",
    ),
    maxRelayBytes: size("1MiB", "1GiB").prefault("32MiB").describe(RELAY),
    listenUrl: z
      .string()
      .optional()
      .describe(
        "Where to LISTEN when `storage.url` leads to a pooler in transaction mode, which loses notifications: a URL of " +
          "PostgreSQL itself. The pooler must pass prepared statements on (PgBouncer 1.21 or newer). Unset: there.",
      ),
    heartbeat: duration("100ms", "60s")
      .prefault("5s")
      .describe("How often the listening connection is asked whether it is alive."),
  })
  .transform(({ heartbeat, ...rest }) => ({ ...rest, heartbeatMs: heartbeat }));

const path = () => z.string().optional();
const mysql = z
  .strictObject({
    dedupKeys: dedupKeys(1_000_000, IN_MEMORY),
    maxWaiting: count(1, 1_000_000)
      .default(10_000)
      .describe("Operations that may wait for a connection; beyond, they are refused with OVERLOADED."),
    poll: duration("1ms", "500ms")
      .prefault("4ms")
      .describe(
        "How soon the server is asked again for news of other nodes, while every answer has some; without news it is asked " +
          "less and less often, every 500 ms in the end. Longer: less load, later deliveries from other nodes.",
      ),
    tlsMode: z
      .enum(["disabled", "required", "verify-ca", "verify-identity"])
      .optional()
      .describe(
        "`required` encrypts whoever the server is, `verify-ca` wants a known authority, `verify-identity` the host's name, " +
          "too. Unset: `verify-identity` with one of the files below, else `disabled`.",
      ),
    tlsCaFile: path().describe("PEM file of the authorities to trust. Unset: those that Node.js trusts."),
    tlsCertFile: path().describe("PEM file of this node's certificate."),
    tlsKeyFile: path().describe("PEM file of its key."),
  })
  .transform(({ poll, ...rest }) => ({ ...rest, pollMs: poll }));

/** Where messages are kept. */
export const storageSchema = z.strictObject({
  url: z
    .string()
    .regex(/^[a-z][a-z0-9+.-]*:/i, 'must be a URL like "memory:" or "file:./data"')
    .default("memory:")
    .describe(
      'Where messages are kept: "memory:" forgets when the process ends, "file:<folder>" does not; ' +
        '"redis://host:6379/0", "postgres://user@host/database" and "mysql://user@host/database" are shared by many nodes.',
    ),
  memory: memory.prefault({}).describe("For `memory:`, and for VOLATILE channels on every storage."),
  file: file.prefault({}).describe("For `file:`."),
  shared: shared.prefault({}).describe("For `redis:`, `postgres:` and `mysql:`."),
  redis: redis.prefault({}).describe("For `redis:` alone."),
  postgres: postgres.prefault({}).describe("For `postgres:` alone."),
  mysql: mysql.prefault({}).describe("For `mysql:` alone."),
  options: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("For storages that the embedding program registered."),
});
