import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, it } from "vitest";
import { BusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { AppendRecord, MessageLog } from "../message-log.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { ENTRY_OVERHEAD_BYTES } from "./log-ring.ts";
import { createMemoryStorage, memoryStorage } from "./memory-storage.ts";

const NAME = channelName("science", "explore");
const OTHER = channelName("science", "other");
let epochs = 0;
const environment: StorageEnvironment = {
  now: () => 1_000,
  randomEpoch: () => ++epochs,
  log: { info() {}, warn() {}, error() {} },
};

function record(body: Uint8Array): AppendRecord {
  const id = `id-${++epochs}`;
  return { id, sender: "alice", idempotencyKey: "", contentDigest: 0, audience: null, timeToLiveMs: 0, body };
}

async function append(log: MessageLog, bodies: readonly Uint8Array[], name = NAME): Promise<number[]> {
  const outcome = await log.append({
    name,
    incarnation: "i",
    version: 1,
    dedupWindowMs: 1_000,
    records: bodies.map(record),
  });
  assert.equal(outcome.kind, "appended");
  return outcome.kind === "appended" ? outcome.entries.map((entry) => entry.sequence) : [];
}

const bodies = (count: number, bytes = 4) => Array.from({ length: count }, () => new Uint8Array(bytes));
const isFull = (error: unknown) => error instanceof BusError && error.reason === "STORAGE_FULL";

async function open(options: Parameters<typeof createMemoryStorage>[0]): Promise<MessageLog> {
  const { log } = createMemoryStorage(options, environment);
  for (const name of [NAME, OTHER]) await log.create(name, "i", 1);
  return log;
}

describe("memory storage", () => {
  it("S3-FR-005: keeps the newest messages of each channel, first in, first out, as many as configured", async () => {
    const log = await open({ ringSize: 5 });
    await append(log, bodies(3), OTHER);
    for (const count of [1, 3, 4, 100, 2]) await append(log, bodies(count));
    const { entries, state } = await log.read({ name: NAME, from: 0, backward: false, maxEntries: 100, maxBytes: 1e6 });
    assert.deepEqual(
      entries.map((entry) => entry.sequence),
      [106, 107, 108, 109, 110],
    );
    assert.deepEqual([state?.floor, state?.head, state?.sizeBytes], [106, 110, 20]);
    assert.equal((await log.state(OTHER))?.floor, 1);
  });

  it("S3-FR-005: keeps 10,000 messages of a channel when nothing is configured", async () => {
    const log = await open({});
    for (let n = 0; n < 101; n++) await append(log, bodies(100, 1));
    const state = await log.state(NAME);
    assert.deepEqual([state?.floor, state?.head], [101, 10_100]);
  });

  it("drops the oldest of the same channel above maxBytes, and refuses when that has none left", async () => {
    const each = 100 + ENTRY_OVERHEAD_BYTES;
    const log = await open({ maxBytes: 10 * each });
    await append(log, bodies(4, 100), OTHER);
    for (let n = 0; n < 10; n++) await append(log, bodies(1, 100));
    assert.equal((await log.state(OTHER))?.floor, 1);
    assert.deepEqual([(await log.state(NAME))?.floor, (await log.state(NAME))?.head], [5, 10]);
    await assert.rejects(async () => append(log, bodies(7, 100)), isFull);
    assert.deepEqual([(await log.state(NAME))?.floor, (await log.state(NAME))?.head], [5, 10]);
    // A log that is deleted gives back what it held.
    await nextTurn();
    await log.delete(OTHER, "i");
    assert.deepEqual(await append(log, bodies(10, 100)), [11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  });

  it("fails what is handed over before a failure was told", async () => {
    const log = await open({ maxBytes: 1_000 });
    const handed = [bodies(1, 5_000), bodies(1)].map((each) => append(log, each));
    for (const outcome of await Promise.allSettled(handed))
      assert.ok(outcome.status === "rejected" && isFull(outcome.reason));
    await nextTurn();
    assert.deepEqual(await append(log, bodies(1)), [1]);
  });

  it("keeps no caller's memory alive", async () => {
    const log = await open({});
    const request = new Uint8Array(100_000);
    await append(log, [request.subarray(500, 510), request.subarray(0, 20)]);
    const { entries } = await log.read({ name: NAME, from: 0, backward: false, maxEntries: 9, maxBytes: 1e6 });
    for (const { body } of entries) {
      assert.notEqual(body.buffer, request.buffer);
      assert.ok(body.buffer.byteLength <= 65_536);
    }
  });

  it("names every wrong option, and refuses a path", async () => {
    assert.throws(
      () => createMemoryStorage({ ringSize: 0, maxBytes: 0.5 }, environment),
      /ringSize must be.*maxBytes must be/,
    );
    await assert.rejects(memoryStorage("memory:data", {}, environment), /write memory:/);
    assert.equal((await memoryStorage("memory:", { ringSize: 3 }, environment)).kind, "memory");
  });
});

describe("messages that were lost on their way to a log", () => {
  const read = (log: MessageLog, from: number, backward = false) =>
    log.read({ name: NAME, from, backward, maxEntries: 10, maxBytes: 1e6 });

  it("take a sequence that is no entry, and is told to who reads past it", async () => {
    const log = await open({});
    await append(log, bodies(2));
    assert.equal(log.lose?.(NAME, "i")?.head, 3);
    assert.deepEqual(await append(log, bodies(1)), [4]);
    const forward = await read(log, 0);
    assert.deepEqual(
      forward.entries.map(({ sequence }) => sequence),
      [1, 2, 4],
    );
    assert.deepEqual(forward.lost, [{ first: 3, last: 3 }]);
    const backward = await read(log, 5, true);
    assert.deepEqual(
      backward.entries.map(({ sequence }) => sequence),
      [4, 2, 1],
    );
    assert.deepEqual(backward.lost, [{ first: 3, last: 3 }]);
    assert.equal((await read(log, 3)).lost, undefined);
    assert.deepEqual(await log.findId(NAME, "", 0), []);
  });

  it("take their place in the ring, and go with the oldest", async () => {
    const log = await open({ ringSize: 3 });
    await append(log, bodies(1));
    log.lose?.(NAME, "i");
    await append(log, bodies(3));
    const { entries, lost, state } = await read(log, 0);
    assert.deepEqual([entries.length, lost, state?.floor, state?.head], [3, undefined, 3, 5]);
    assert.equal(state?.sizeBytes, 12);
  });

  it("of another incarnation take nothing", async () => {
    const log = await open({});
    assert.equal(log.lose?.(NAME, "other"), undefined);
    assert.equal((await log.state(NAME))?.head, 0);
  });
});
