import { type ObtainedServer, obtainServer, SERVER_KINDS } from "../servers/obtain.ts";
import type { ServerName } from "../servers/server-kind.ts";

/** What `npm test` starts once for all its steps. */
export const SERVERS = ["redis", "postgres", "mariadb"] as const satisfies readonly ServerName[];

/** By the name of the storage; file and memory need none. */
export const STORAGE_SERVERS: Readonly<Record<string, ServerName>> = {
  redis: "redis",
  postgres: "postgres",
  mysql: "mariadb",
};

let started: readonly ObtainedServer[] = [];

/**
 * Starts what can be had and names it in the environment, where the steps find it. Rejects when one is missing that is
 * required.
 */
export async function startTestServers(say: (text: string) => void): Promise<readonly ObtainedServer[]> {
  const tried = await Promise.allSettled(SERVERS.map((name) => obtainServer(name, { say })));
  started = tried.flatMap((each) => (each.status === "fulfilled" && each.value !== undefined ? [each.value] : []));
  for (const { name, url } of started) process.env[SERVER_KINDS[name].variable] = url;
  const failure = tried.find((each) => each.status === "rejected");
  if (failure !== undefined) throw failure.reason;
  return started;
}

/** Ends those that are ours, with their data. */
export async function stopTestServers(): Promise<void> {
  await Promise.all(started.map((server) => server.stop()));
  started = [];
}
