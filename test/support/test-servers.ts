import { describe, inject, it } from "vitest";
import "./test-servers.setup.ts";
import type { ServerName } from "../../scripts/servers/server-kind.ts";

/**
 * The URL of a real server: the one the environment names (`REDIS_URL`, `POSTGRES_URL`, `MYSQL_URL`), else one that this
 * call starts for the whole run. Undefined, said loudly, when there is none; rejects then with AGENTBUS_TEST_REQUIRE=1.
 * Other test files use the same server at the same time: use a prefix of your own, and never stop or flush it. It acks
 * what is not on the disk; for durability and faults start one of your own with test/support/server-process.ts.
 */
export async function testServerUrl(name: ServerName): Promise<string | undefined> {
  const response = await fetch(`${inject("testServersUrl")}/${name}`);
  const text = await response.text();
  if (response.status >= 400) throw new Error(text);
  return text === "" ? undefined : text;
}

/** Registers tests that need a real server; without it one skipped test that says so stands in their place. */
export async function describeWithServer(name: ServerName, register: (url: string) => void): Promise<void> {
  const url = await testServerUrl(name);
  if (url !== undefined) register(url);
  else {
    describe(name, () => {
      it.skip(`SKIPPED: there is no ${name} server; see CONTRIBUTING.md on how tests find one`, () => {});
    });
  }
}
