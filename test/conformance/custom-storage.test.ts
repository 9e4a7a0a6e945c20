import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { StorageRegistry } from "../../src/storage/factory.ts";
import { createMemoryStorage, memoryStorage } from "../../src/storage/memory/index.ts";
import type { MessageLog } from "../../src/storage/message-log.ts";
import type { StorageFactory } from "../../src/storage/storage-adapter.ts";
import { describeMessageLog } from "./message-log.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";

/** What somebody else might write: a storage that counts its appends and leaves the rest to another one. */
function countingStorage(counts: { appends: number }): StorageFactory {
  return async (_url, options, environment) => {
    const inner = createMemoryStorage(options, environment);
    const log: MessageLog = {
      create: (...args) => inner.log.create(...args),
      state: (name) => inner.log.state(name),
      append(batch) {
        counts.appends++;
        return inner.log.append(batch);
      },
      ends: (names) => inner.log.ends(names),
      read: (request) => inner.log.read(request),
      findId: (...args) => inner.log.findId(...args),
      findTime: (...args) => inner.log.findTime(...args),
      fence: (...args) => inner.log.fence(...args),
      renewEpoch: (name) => inner.log.renewEpoch(name),
      trim: (...args) => inner.log.trim(...args),
      delete: (...args) => inner.log.delete(...args),
    };
    return { ...inner, kind: "counting", log };
  };
}

const counts = { appends: 0 };
const registry = new StorageRegistry().register("memory", memoryStorage).register("counting", countingStorage(counts));

const open: OpenStorage = async () => {
  const { environment, advance } = testEnvironment();
  const storage = await registry.open("counting:anything", { ringSize: 5_000 }, environment);
  assert.equal(storage.kind, "counting");
  return { storage, advance, dispose: () => storage.close() };
};

// The suites are what a storage of one's own is proven with.
describeMessageLog("S1-4.1d custom", open);

describe("storage registry", () => {
  it("S1-4.1d: opens a custom kind by the scheme of its URL", async () => {
    const before = counts.appends;
    const { storage } = await open();
    await storage.log.append({
      name: { room: "r", channel: "c", key: "r:c" },
      incarnation: "x",
      version: 1,
      dedupWindowMs: 0,
      records: [],
    });
    assert.equal(counts.appends, before + 1);
  });

  it("S1-4.1d: names the kinds there are when it does not know one", async () => {
    const { environment } = testEnvironment();
    await assert.rejects(registry.open("tape:drive", {}, environment), /counting:, memory:/);
  });
});
