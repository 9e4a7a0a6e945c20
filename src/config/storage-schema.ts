import { z } from "zod";
import { count, duration, size } from "./fields.ts";

/** Names tables, schemas and keys, so it is what all of them allow. */
export const PREFIX_PATTERN = /^(?!pg_)[a-z][a-z0-9_]{0,31}$/;
export const PREFIX_RULE = "must be 1 to 32 of a-z 0-9 _, starting with a letter and not with pg_";

const memory = z.strictObject({
  ringSize: count(1, 100_000_000).default(10_000).describe("Messages kept of one channel."),
  maxBytes: size("1MiB", "1024TiB").prefault("512MiB").describe("Bytes kept of all channels; the oldest go first."),
});

const file = z.strictObject({
  maxBytes: size("1MiB", "1024TiB")
    .prefault("64GiB")
    .describe("Size of the database file; beyond it publishes are refused with STORAGE_FULL."),
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

const redis = z.strictObject({
  ioredis: z
    .record(z.string(), z.unknown())
    .default({})
    .describe("Passed through to ioredis: options of Redis, Cluster or Sentinel, such as `tls` or `sentinelPassword`."),
});

const postgres = z
  .strictObject({
    listenUrl: z
      .string()
      .optional()
      .describe(
        "Where to LISTEN when `storage.url` leads to a pooler in transaction mode, which loses notifications. Unset: there.",
      ),
    heartbeat: duration("100ms", "60s")
      .prefault("5s")
      .describe("How often the listening connection is asked whether it is alive."),
  })
  .transform(({ heartbeat, ...rest }) => ({ ...rest, heartbeatMs: heartbeat }));

const path = () => z.string().optional();
const mysql = z.strictObject({
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
});

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
