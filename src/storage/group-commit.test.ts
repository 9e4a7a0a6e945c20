import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { BusError } from "../core/errors.ts";
import { type ChannelName, channelName } from "../core/names.ts";
import { GroupCommit, type GroupCommitOptions } from "./group-commit.ts";
import type { AppendBatch, AppendOutcome } from "./message-log.ts";

const ROOM = channelName("science", "explore");
const OTHER = channelName("science", "other");

function batch(id: string, name: ChannelName = ROOM, bytes = 1): AppendBatch {
  const body = new Uint8Array(bytes);
  const record = {
    id,
    sender: "alice",
    idempotencyKey: id,
    contentDigest: 1,
    audience: null,
    timeToLiveMs: 0,
    body,
  };
  return { name, incarnation: "i", version: 1, dedupWindowMs: 0, records: [record] };
}

interface Held {
  readonly key: string;
  readonly ids: readonly string[];
  answer(): void;
  fail(error: unknown): void;
}

/** A backend whose every commit waits until the test lets it go. */
function open(limits: Partial<GroupCommitOptions> = {}) {
  const held: Held[] = [];
  let arrived = () => {};
  const queue = new GroupCommit({
    maxRecords: 1_000,
    maxBytes: 1_000_000,
    maxPendingBytes: 1_000_000,
    ...limits,
    commit: (name, batches) =>
      new Promise((resolve, fail) => {
        const outcomes = batches.map((): AppendOutcome => ({ kind: "appended", entries: [] }));
        const ids = batches.flatMap(({ records }) => records.map(({ id }) => id));
        held.push({ key: name.key, ids, answer: () => resolve(outcomes), fail });
        arrived();
      }),
  });
  const next = async (): Promise<Held> => {
    while (held.length === 0) await new Promise<void>((resolve) => (arrived = resolve));
    return held.shift()!;
  };
  return { queue, next, held };
}

const away = () => new BusError("STORAGE_UNAVAILABLE", "away");

describe("group commit", () => {
  it("puts what comes while a commit is in flight into the next one, in order", async () => {
    const { queue, next, held } = open();
    const first = queue.append(batch("1"));
    const flying = await next();
    const rest = ["2", "3", "4"].map((id) => queue.append(batch(id)));
    assert.deepEqual(flying.ids, ["1"]);
    assert.equal(held.length, 0, "one commit in flight for a log");
    flying.answer();
    await first;
    const second = await next();
    assert.deepEqual(second.ids, ["2", "3", "4"]);
    second.answer();
    await Promise.all(rest);
  });

  it("commits logs beside each other", async () => {
    const { queue, next } = open();
    const both = [queue.append(batch("1")), queue.append(batch("2", OTHER))];
    const flights = [await next(), await next()];
    assert.deepEqual(
      flights.map(({ key }) => key),
      [ROOM.key, OTHER.key],
    );
    for (const flight of flights.reverse()) flight.answer();
    await Promise.all(both);
  });

  it("divides what waits by messages and by bytes, and never a batch", async () => {
    const { queue, next } = open({ maxRecords: 2, maxBytes: 10 });
    const sizes = [1, 1, 1, 20, 5, 6];
    const all = sizes.map((bytes, i) => queue.append(batch(`${i}`, ROOM, bytes)));
    const groups: (readonly string[])[] = [];
    for (let stored = 0; stored < sizes.length; ) {
      const flight = await next();
      groups.push(flight.ids);
      stored += flight.ids.length;
      flight.answer();
    }
    await Promise.all(all);
    assert.deepEqual(groups, [["0", "1"], ["2"], ["3"], ["4"], ["5"]]);
  });

  it("fails what was handed over before the failure was told, and goes on afterwards", async () => {
    const { queue, next } = open();
    const first = queue.append(batch("1"));
    const flying = await next();
    const second = queue.append(batch("2"));
    const third = first.catch(() => queue.append(batch("3")));
    const told = [first, second, third].map((failed) =>
      assert.rejects(failed, (error: BusError) => error.reason === "STORAGE_UNAVAILABLE"),
    );
    flying.fail(away());
    await Promise.all(told);
    await new Promise((resolve) => setImmediate(resolve));
    const fourth = queue.append(batch("4"));
    const flight = await next();
    assert.deepEqual(flight.ids, ["4"]);
    flight.answer();
    await fourth;
  });

  it("fails one log alone", async () => {
    const { queue, next } = open();
    const first = assert.rejects(queue.append(batch("1")));
    const other = queue.append(batch("2", OTHER));
    (await next()).fail(away());
    (await next()).answer();
    await first;
    await other;
  });

  it("refuses beyond the bytes that may wait, and takes more when they are stored", async () => {
    const { queue, next } = open({ maxPendingBytes: 10 });
    const first = queue.append(batch("1", ROOM, 10));
    await assert.rejects(queue.append(batch("2", OTHER)), (error: BusError) => error.reason === "OVERLOADED");
    (await next()).answer();
    await first;
    const third = queue.append(batch("3", OTHER));
    (await next()).answer();
    await third;
  });

  it("says when everything is settled", async () => {
    const { queue, next } = open();
    await queue.settled();
    const appended = queue.append(batch("1"));
    let settled = false;
    const waiting = queue.settled().then(() => {
      settled = true;
    });
    const flight = await next();
    assert.equal(settled, false);
    flight.answer();
    await appended;
    await waiting;
  });
});
