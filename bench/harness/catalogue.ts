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

/** The same on a server that nodes share. */
function agentbusOn(backend: NonNullable<ServerSpec["backend"]>, nodes = 1): ServerSpec {
  const name = `agentbus ${backend}${nodes === 1 ? "" : `, ${nodes} nodes`}`;
  const command: ServerSpec["command"] = (port, _folder, backendUrl) => [
    process.execPath,
    fromRoot("bin/agentbus.js"),
    ...["serve", "--port", String(port), "--node-id", `node-${port}`, "--storage", backendUrl],
  ];
  return { name, dialect: "grpc", backend, nodes, command };
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
  agentbusRedis: agentbusOn("redis"),
  agentbusPostgres: agentbusOn("postgres"),
  agentbusMariadb: agentbusOn("mariadb"),
  twoNodesRedis: agentbusOn("redis", 2),
  twoNodesPostgres: agentbusOn("postgres", 2),
  twoNodesMariadb: agentbusOn("mariadb", 2),
  threeNodesRedis: agentbusOn("redis", 3),
  threeNodesPostgres: agentbusOn("postgres", 3),
  threeNodesMariadb: agentbusOn("mariadb", 3),
  postgresRows: { name: "PostgreSQL rows", dialect: "postgres", backend: "postgres" },
  mariadbRows: { name: "MariaDB rows", dialect: "mysql", backend: "mariadb" },
  redisAlways: redis("Redis XADD always", "--appendonly", "yes", "--appendfsync", "always"),
} as const satisfies Record<string, ServerSpec>;
