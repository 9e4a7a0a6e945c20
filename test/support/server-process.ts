import { describe, it } from "vitest";
import { BackendServer, type BackendServerOptions } from "../../scripts/chaos/backend-server.ts";
import { findPrograms, installPrograms } from "../../scripts/servers/find-programs.ts";
import { SERVER_KINDS } from "../../scripts/servers/obtain.ts";
import type { ServerName } from "../../scripts/servers/server-kind.ts";

export interface OwnServer {
  readonly url: string;
  readonly port: number;
  /** Starts it again on the same data and port, and resolves when it takes work. */
  start(): Promise<void>;
  /** Ends it. "SIGKILL": with all its processes, as a crash does; PostgreSQL's immediate shutdown is "SIGQUIT". */
  end(signal?: NodeJS.Signals): Promise<void>;
  /** SIGSTOP and SIGCONT: it is there and does not answer. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its data. */
  discard(): void;
}

/**
 * Starts a server that the test may end, kill, freeze and start again. `durability` SYNCED (the default): what it
 * acknowledges is on the disk (Redis appendfsync always); STORED: a crash of the machine loses the newest (everysec).
 */
export type StartServer = (durability?: BackendServerOptions["durability"]) => Promise<OwnServer>;

/**
 * Registers tests that need a server of their own; without its programs one skipped test that says so stands in their
 * place, and with AGENTBUS_TEST_REQUIRE=1 it fails. For tests that only need some server: test/support/test-servers.ts.
 */
export async function describeWithOwnServer(name: ServerName, register: (start: StartServer) => void): Promise<void> {
  const kind = SERVER_KINDS[name];
  if (findPrograms(kind) !== undefined || (await installPrograms(kind, say)) !== undefined) {
    register(async (durability = "SYNCED") => {
      const server = await BackendServer.launch({ name, durability });
      return {
        url: kind.url("127.0.0.1", server.port),
        port: server.port,
        start: () => server.start(),
        end: (signal = kind.stopSignal) => server.end(signal),
        freeze: () => server.freeze(),
        thaw: () => server.thaw(),
        discard: () => server.discard(),
      };
    });
    return;
  }
  const missing = `the programs of ${name} are not on this machine and could not be installed`;
  if (process.env["AGENTBUS_TEST_REQUIRE"] === "1") throw new Error(missing);
  say(`SKIPPED: tests that end and start ${name}: ${missing}`);
  describe(name, () => {
    it.skip(`SKIPPED: ${missing}`, () => {});
  });
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
