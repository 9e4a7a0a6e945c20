import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import net from "node:net";
import { afterEach, describe, it } from "vitest";
import { findPrograms } from "../../scripts/servers/find-programs.ts";
import { launch } from "../../scripts/servers/launch.ts";
import { obtainServer, SERVER_KINDS } from "../../scripts/servers/obtain.ts";
import type { ServerKind, ServerName } from "../../scripts/servers/server-kind.ts";

describe("servers for tests", () => {
  const variables = new Map<string, string | undefined>();
  function set(name: string, value: string): void {
    variables.set(name, process.env[name]);
    process.env[name] = value;
  }
  afterEach(() => {
    for (const [name, value] of variables) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    variables.clear();
  });

  it("takes the server that the environment names, and leaves it alone", async () => {
    set("REDIS_URL", "redis://elsewhere:1");
    const server = await obtainServer("redis");
    assert.deepEqual([server?.url, server?.source], ["redis://elsewhere:1", "environment"]);
    await server?.stop();
  });

  it("says loudly what it skips, and fails when it is required", async () => {
    set("AGENTBUS_TEST_INSTALL", "0");
    set("AGENTBUS_TEST_REQUIRE", "0");
    set("PATH", "/nowhere");
    const said: string[] = [];
    const absent = { ...SERVER_KINDS.redis, folders: [] };
    assert.equal(findPrograms(absent), undefined);
    if (findPrograms(SERVER_KINDS.nats) !== undefined) return; // in a folder that is always searched
    assert.equal(await obtainServer("nats", { say: (text) => said.push(text) }), undefined);
    assert.match(said.join(), /SKIPPED: everything that needs nats/);
    set("AGENTBUS_TEST_REQUIRE", "1");
    await assert.rejects(obtainServer("nats"), /could not be installed; or set NATS_URL/);
  });

  // What is on the machine is tried for real; what is not is installed by the tests that need it.
  for (const name of ["redis", "postgres", "mariadb", "nats"] as const satisfies readonly ServerName[]) {
    const programs = findPrograms(SERVER_KINDS[name]);
    it.skipIf(programs === undefined)(
      `starts ${name} from this machine, twice side by side, and cleans up`,
      async () => {
        const kind = SERVER_KINDS[name];
        const [first, second] = await Promise.all([launch(kind, programs!, false), launch(kind, programs!, true)]);
        assert.notEqual(first.port, second.port);
        await Promise.all([first.stop(), second.stop()]);
        const socket = net.connect(first.port, "127.0.0.1");
        await assert.rejects(new Promise((_resolve, reject) => socket.once("error", reject)), /ECONNREFUSED/);
        assert.equal(existsSync(`/proc/${first.pid}`), false);
      },
    );
  }

  it("says what a server wrote that does not come up", async () => {
    const broken: ServerKind = {
      ...SERVER_KINDS.redis,
      serve: () => ["/bin/sh", "-c", "echo the disk is on fire; exit 4"],
    };
    await assert.rejects(launch(broken, [], false), /did not come up[\s\S]*on fire/);
  });
});
