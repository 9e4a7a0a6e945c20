import { fileURLToPath } from "node:url";
import type { Dialect, ServerSpec } from "./server-process.ts";

const fromRoot = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Lets the memory figures ask any Node process for a garbage collection; it does nothing until it is asked. */
const COLLECT_ON_SIGNAL = ["--expose-gc", "--import", fromRoot("bench/harness/collect-on-signal.ts")];

/** agentbus as a user starts it: the program, the port, the storage. */
function agentbus(name: string, storage: (folder: string) => string): ServerSpec {
  return {
    name,
    dialect: "grpc",
    command: (port, folder) => [
      process.execPath,
      ...COLLECT_ON_SIGNAL,
      fromRoot("bin/agentbus.js"),
      "serve",
      "--port",
      String(port),
      "--storage",
      storage(folder),
    ],
  };
}

function reference(name: string, dialect: Dialect, file: string, ...args: readonly string[]): ServerSpec {
  return {
    name,
    dialect,
    command: (port) => [
      process.execPath,
      ...COLLECT_ON_SIGNAL,
      fromRoot(`bench/servers/${file}.ts`),
      "--port",
      String(port),
      ...args,
    ],
  };
}

function redis(name: string, ...args: readonly string[]): ServerSpec {
  return {
    name,
    dialect: "redis",
    command: (port, folder) => [
      "redis-server",
      ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, ...args],
    ],
  };
}

/** Every server that is measured. The names are those of the tables in docs/benchmarks.md. */
export const SERVERS = {
  agentbus: agentbus("agentbus", () => "memory:"),
  agentbusFile: agentbus("agentbus file", (folder) => `file:${folder}/data`),
  rawHttp2: reference("node:http2", "grpc", "raw-http2"),
  rawHttp2Batch: reference("node:http2 batched", "grpc", "raw-http2", "--batch-frames"),
  grpcJs: reference("grpc-js", "grpc", "grpc-js"),
  grpcJsBatch: reference("grpc-js batched", "grpc", "grpc-js", "--batch-frames"),
  grpcJsRaw: reference("grpc-js raw bytes", "grpc", "grpc-js-raw"),
  connectGenerator: reference("connect generator", "grpc", "connect-generator"),
  ws: reference("ws", "ws", "ws"),
  nats: {
    name: "NATS core",
    dialect: "nats",
    command: (port) => ["nats-server", "-a", "127.0.0.1", "-p", String(port)],
  },
  jetStream: {
    name: "JetStream file",
    dialect: "nats",
    command: (port, folder) => ["nats-server", "-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder],
  },
  redis: redis("Redis pub/sub", "--appendonly", "no"),
  redisAlways: redis("Redis XADD always", "--appendonly", "yes", "--appendfsync", "always"),
} as const satisfies Record<string, ServerSpec>;
