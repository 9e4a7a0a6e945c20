import { findPrograms, installPrograms } from "./find-programs.ts";
import { type LaunchedServer, launch, launchInDocker } from "./launch.ts";
import { mariadb } from "./mariadb.ts";
import { nats } from "./nats.ts";
import { postgres } from "./postgres.ts";
import { redis } from "./redis.ts";
import type { ServerKind, ServerName } from "./server-kind.ts";

export const SERVER_KINDS: Readonly<Record<ServerName, ServerKind>> = { redis, postgres, mariadb, nats };

export interface ObtainedServer {
  readonly name: ServerName;
  readonly url: string;
  /** Where it comes from. One that the environment names is not ours: `stop` leaves it alone. */
  readonly source: "environment" | "machine" | "docker" | "installed";
  stop(): Promise<void>;
}

export interface ObtainOptions {
  /** What it acknowledges is on the disk: for tests of durability, and benches. Default: false. */
  readonly fsync?: boolean;
  readonly say?: (text: string) => void;
}

/**
 * A server for tests: the one that the environment names, else one started from the programs on this machine, else one
 * in Docker, else one installed by apt-get as root. Undefined, and said loudly, when none of these works; then it throws
 * with AGENTBUS_TEST_REQUIRE=1.
 */
export async function obtainServer(name: ServerName, options: ObtainOptions = {}): Promise<ObtainedServer | undefined> {
  const kind = SERVER_KINDS[name];
  const say = options.say ?? console.error;
  const fsync = options.fsync === true;
  const url = process.env[kind.variable];
  if (url !== undefined && url !== "") return { name, url, source: "environment", stop: async () => {} };

  const from = (source: ObtainedServer["source"], server: LaunchedServer): ObtainedServer => {
    return { name, source, url: server.url, stop: () => server.stop() };
  };
  const found = findPrograms(kind);
  if (found !== undefined) return from("machine", await launch(kind, found, fsync));
  const contained = await launchInDocker(kind, fsync);
  if (contained !== undefined) return from("docker", contained);
  const installed = await installPrograms(kind, say);
  if (installed !== undefined) return from("installed", await launch(kind, installed, fsync));

  const missing = `${name} is not on this machine, not in Docker, and could not be installed; or set ${kind.variable}`;
  if (process.env["AGENTBUS_TEST_REQUIRE"] === "1") throw new Error(missing);
  say(`SKIPPED: everything that needs ${name}: ${missing}`);
  return undefined;
}
