import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Redis, type RedisOptions } from "ioredis";
import { findPrograms } from "../../scripts/servers/find-programs.ts";
import { lastingPort } from "../../scripts/servers/lasting-port.ts";
import { redis } from "../../scripts/servers/redis.ts";
import { waitUntil } from "../support/wait.ts";

/** A redis-server with settings of a test's own: a replica, a sentinel, a node of a cluster. */
export interface RedisProcess {
  readonly port: number;
  readonly client: Redis;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** Kills it and removes its data; again: nothing. */
  stop(): Promise<void>;
}

export async function startRedis(...settings: readonly string[]): Promise<RedisProcess> {
  // A replica is sent the data at once, and not after five seconds in which more of them might come.
  const own = ["--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0"];
  return await start((port) => ["--port", String(port), ...own, ...settings]);
}

/** A sentinel that decides alone, and soon, about the master at a port. */
export async function startSentinel(master: string, masterPort: number): Promise<RedisProcess> {
  const lines = [
    `sentinel monitor ${master} 127.0.0.1 ${masterPort} 1`,
    `sentinel down-after-milliseconds ${master} 500`,
    `sentinel failover-timeout ${master} 3000`,
  ];
  return await start((port, folder) => {
    const file = join(folder, "sentinel.conf");
    writeFileSync(file, [`port ${port}`, "bind 127.0.0.1", `dir ${folder}`, ...lines, ""].join("\n"));
    return [file, "--sentinel"];
  });
}

/** A cluster of three masters. Answers its nodes; each is stopped by the caller. */
export async function startCluster(): Promise<readonly RedisProcess[]> {
  const nodes = await Promise.all(
    Array.from({ length: 3 }, () => startRedis("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")),
  );
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const cli = join(redisProgram(), "..", "redis-cli");
  await promisify(execFile)(cli, ["--cluster", "create", ...addresses, "--cluster-yes"]);
  await waitUntil(
    async () => {
      const states = await Promise.all(nodes.map(async ({ client }) => String(await client.call("cluster", "info"))));
      return states.every((state) => state.includes("cluster_state:ok"));
    },
    { timeoutMs: 60_000, what: "the cluster to be ready" },
  );
  return nodes;
}

/** Without TLS it takes nobody. Files are in PEM; the certificate is its own authority. */
export async function startTlsRedis(certificate: string, key: string): Promise<RedisProcess> {
  const files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate];
  return await start(
    (port) => ["--port", "0", "--tls-port", String(port), "--save", "", "--tls-auth-clients", "no", ...files],
    { tls: { rejectUnauthorized: false } },
  );
}

/** For tests within describeWithOwnServer, which sees to it that it is there. */
function redisProgram(): string {
  return findPrograms(redis)![0]!;
}

/** Somebody may take the port, or the one of the cluster above it, in front of the server, which then ends at once. */
const MAX_TRIES = 5;

async function start(
  settings: (port: number, folder: string) => readonly string[],
  options: RedisOptions = {},
): Promise<RedisProcess> {
  for (let tries = 1; ; tries++) {
    const server = launch(await lastingPort(), settings, options);
    const hasEnded = await Promise.race([server.client.ping().then(() => false), server.ended.then(() => true)]);
    if (!hasEnded) return server;
    await server.stop();
    if (tries === MAX_TRIES) throw new Error("redis-server ends as soon as it is started");
  }
}

function launch(
  port: number,
  settings: (port: number, folder: string) => readonly string[],
  options: RedisOptions,
): RedisProcess & { readonly ended: Promise<unknown> } {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-redis-"));
  const child: ChildProcess = spawn(redisProgram(), [...settings(port, folder)], { cwd: folder, stdio: "ignore" });
  const ended = once(child, "exit");
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const patient: RedisOptions = { ...options, retryStrategy: () => 25, maxRetriesPerRequest: null };
  const client = new Redis(port, "127.0.0.1", patient as RedisOptions & { readonly replyMapping: "legacy" });
  client.on("error", () => {});
  return {
    port,
    client,
    ended,
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    async stop() {
      client.disconnect();
      process.off("exit", kill);
      kill();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
