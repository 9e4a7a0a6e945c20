import assert from "node:assert/strict";
import { beforeEach, describe, it } from "vitest";
import type { RecordKey } from "../../../src/storage/directory.ts";
import type { StorageAdapter } from "../../../src/storage/storage-adapter.ts";
import { isBusError } from "../../conformance/appending.ts";
import type { FaultyBackend } from "./backend.ts";

const roomKey = (id: string): RecordKey => ({ kind: "room", parent: "", id });
const damaged = isBusError("DATA_DAMAGED");

/** What a shared storage does with records of the directory that somebody or something changed behind its back. */
export function describeDamagedRecords(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: damaged records`, () => {
    let storage: StorageAdapter;
    beforeEach(async () => {
      storage = await backend.open();
      for (const id of ["lab", "library"]) await storage.directory.put(roomKey(id), { description: "a room" });
    });

    for (const part of ["value", "version"] as const) {
      describe(`whose ${part} was changed`, () => {
        beforeEach(() => backend.changeRoom("lab", part));

        it("are never returned; the others are", async () => {
          const { directory } = storage;
          await assert.rejects(directory.get(roomKey("lab")), damaged);
          await assert.rejects(directory.list({ kind: "room", limit: 10 }), damaged);
          assert.deepEqual((await directory.get(roomKey("library")))?.value, { description: "a room" });
          const [after] = await directory.list({ kind: "room", after: roomKey("lab"), limit: 10 });
          assert.equal(after?.key.id, "library");
        });

        it("are not overwritten or removed by who believes to know them", async () => {
          const { directory } = storage;
          for (const expectedVersion of [0, 1, 2]) {
            await assert.rejects(directory.put(roomKey("lab"), {}, { expectedVersion }), damaged);
          }
          for (const version of [1, 2]) await assert.rejects(directory.delete(roomKey("lab"), version), damaged);
          await assert.rejects(directory.get(roomKey("lab")), damaged);
        });

        it("are healed by being written, or removed, whatever they were", async () => {
          const { directory } = storage;
          await directory.put(roomKey("lab"), { description: "mended" });
          assert.deepEqual((await directory.get(roomKey("lab")))?.value, { description: "mended" });
          assert.equal(await directory.count("room", ""), 2);
        });

        it("can be removed by who names no version", async () => {
          const { directory } = storage;
          assert.equal(await directory.delete(roomKey("lab")), true);
          assert.equal(await directory.get(roomKey("lab")), undefined);
          assert.equal(await directory.count("room", ""), 1);
        });
      });
    }
  });
}
