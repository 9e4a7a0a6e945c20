import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { beforeEach, describe, it } from "vitest";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, isBusError, NAME, readAll, record, sequencesOf } from "../conformance/appending.ts";
import { describeWithOwnServer } from "../support/server-process.ts";
import { usePostgres } from "./postgres-fixture.ts";

/** What version 1 left, and a moment after it did. */
const LAYOUT_1 = readFileSync(new URL("layouts/postgres-1.sql", import.meta.url), "utf8");
const LEFT_MS = 1_795_247_579_000;

await describeWithOwnServer("postgres", (start) => {
  describe("postgres: a schema of version 1 is brought up to date", () => {
    const postgres = usePostgres(start);
    let storage: StorageAdapter;
    beforeEach(async () => {
      await postgres.tamper(LAYOUT_1.replaceAll("layout_1", postgres.prefix));
      const nodes = [1, 2].map(() => postgres.open({}, undefined, { storeClock: () => LEFT_MS }));
      storage = (await Promise.all(nodes))[0]!;
    });

    it("once, by nodes that start together, as a new one has it", async () => {
      assert.deepEqual(await postgres.layout(), [{ version: 1 }, { version: 2 }]);
      const columns = () =>
        postgres.tamper(
          `SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns
            WHERE table_schema = '${postgres.prefix}' ORDER BY table_name, ordinal_position`,
        );
      const migrated = await columns();
      await postgres.removeAll();
      await postgres.open();
      assert.deepEqual(migrated, await columns());
    });

    it("keeps messages and their keys", async () => {
      const entries = await readAll(storage.log);
      assert.deepEqual(
        entries.map(({ sequence, id, body }) => [sequence, id, Buffer.from(body).toString()]),
        [1, 2, 3].map((n) => [n, `id-of-${n}`, `body of ${n}`]),
      );
      const [again, fresh] = await append(storage.log, [record({ id: "id-of-2" }), record()]);
      assert.deepEqual([again!.sequence, again!.duplicate, fresh!.sequence], [2, true, 4]);
      assert.deepEqual(sequencesOf(await readAll(storage.log)), [1, 2, 3, 4]);
      assert.equal((await storage.log.state(NAME))!.links.length, 2); // of another server
    });

    it("keeps records and versions, and knows from then on when one is damaged", async () => {
      const { directory } = storage;
      const room = (id: string) => ({ kind: "room", parent: "", id });
      const lab = await directory.get(room("lab"));
      assert.deepEqual([lab?.version, lab?.value], [2, { description: "the lab" }]);
      const [channel] = await directory.list({ kind: "channel", limit: 10 });
      assert.deepEqual([channel?.value, channel?.expiresAtMs], [{ topic: "ä\nb" }, 2_110_607_578_399]);
      assert.deepEqual(await directory.put(room("gone"), {}), { kind: "stored", version: 2, expiresAtMs: 0 });
      assert.equal(await directory.count("room", ""), 2);
      await postgres.tamper("UPDATE s.record SET value = '{}' WHERE id = 'lab'");
      await assert.rejects(directory.get(room("lab")), isBusError("DATA_DAMAGED"));
    });
  });

  describe("postgres: a damaged record that says it is over", () => {
    const postgres = usePostgres(start);

    it("is told, not overwritten, and not swept", async () => {
      const storage = await postgres.open();
      const { directory } = storage;
      const key = { kind: "room", parent: "", id: "lab" };
      await directory.put(key, {});
      await postgres.tamper("UPDATE s.record SET expires_at = 1");
      const damaged = isBusError("DATA_DAMAGED");
      await assert.rejects(directory.put(key, {}, { expectedVersion: 0 }), damaged);
      await storage.sweep!();
      await assert.rejects(directory.get(key), damaged);
      await assert.rejects(directory.list({ kind: "room", limit: 10 }), damaged);
    });
  });
});
