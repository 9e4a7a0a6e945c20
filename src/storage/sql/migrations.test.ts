import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { type Migration, migrate, SchemaTooNew } from "./migrations.ts";

const MIGRATIONS: readonly Migration[] = [1, 2, 3].map((version) => ({ version, statements: [`step ${version}`] }));

function session(version: number) {
  const applied: number[] = [];
  return {
    applied,
    version: async () => version,
    apply: async (migration: Migration) => {
      applied.push(migration.version);
    },
  };
}

describe("migrate", () => {
  for (const [version, expected] of [
    [0, [1, 2, 3]],
    [2, [3]],
    [3, []],
  ] as const) {
    it(`applies what is missing from version ${version} on, in order`, async () => {
      const target = session(version);
      assert.deepEqual(await migrate(target, MIGRATIONS, "schema x"), expected);
      assert.deepEqual(target.applied, expected);
    });
  }

  it("refuses a schema of a newer program, and leaves it alone", async () => {
    const target = session(4);
    await assert.rejects(migrate(target, MIGRATIONS, 'schema "x"'), (error) => {
      return error instanceof SchemaTooNew && /schema "x" has version 4.*up to 3/.test(error.message);
    });
    assert.deepEqual(target.applied, []);
  });
});
