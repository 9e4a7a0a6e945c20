import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { BusError, isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { AppendBatch, AppendOutcome } from "../message-log.ts";
import { OrderedSteps } from "./ordered-steps.ts";

const NAME = channelName("science", "explore");

function batch(id: string): AppendBatch {
  const body = new Uint8Array(1);
  const record = { id, sender: "a", idempotencyKey: id, contentDigest: 1, audience: null, timeToLiveMs: 0, body };
  return { name: NAME, incarnation: "i", version: 1, dedupWindowMs: 0, records: [record] };
}

/** Writes down what happens; `commit` may be given to fail. */
function open(commit: (ids: readonly string[]) => void = () => {}) {
  const happened: string[] = [];
  const steps = new OrderedSteps({
    maxRecords: 1_000,
    maxBytes: 1_000_000,
    maxPendingBytes: 1_000_000,
    async commit(_name, batches): Promise<readonly AppendOutcome[]> {
      const ids = batches.flatMap(({ records }) => records.map(({ id }) => id));
      await Promise.resolve();
      commit(ids);
      happened.push(ids.join("+"));
      return ids.map(() => ({ kind: "stale", version: 1 }));
    },
  });
  const step = (name: string) =>
    steps.step(NAME, async () => {
      await Promise.resolve();
      happened.push(name);
      return name;
    });
  return { steps, step, happened };
}

describe("OrderedSteps", () => {
  it("keeps steps among the appends, and groups what lies between them", async () => {
    const { steps, step, happened } = open();
    const handed = [
      ...[steps.append(batch("a")), steps.append(batch("b")), step("fence"), step("renew")],
      ...[steps.append(batch("c")), step("delete")],
    ];
    const outcomes = await Promise.all(handed);
    assert.deepEqual(happened, ["a+b", "fence", "renew", "c", "delete"]);
    const stale = { kind: "stale", version: 1 };
    assert.deepEqual(outcomes, [stale, stale, "fence", "renew", stale, "delete"]);
  });

  it("a step that fails fails alone", async () => {
    const { steps, happened } = open();
    const before = steps.append(batch("a"));
    const failing = steps.step(NAME, () => Promise.reject(new BusError("CHANNEL_DELETED", "gone")));
    const after = steps.append(batch("b"));
    await assert.rejects(failing, (error) => isBusError(error, "CHANNEL_DELETED"));
    await Promise.all([before, after]);
    assert.deepEqual(happened, ["a", "b"]);
  });

  it("an append that fails takes the steps and appends behind it with it", async () => {
    const { steps, step, happened } = open(() => {
      throw new BusError("STORAGE_FULL", "full");
    });
    const handed = await Promise.allSettled([steps.append(batch("a")), step("fence"), steps.append(batch("b"))]);
    for (const each of handed) assert.ok(each.status === "rejected" && isBusError(each.reason, "STORAGE_FULL"));
    assert.deepEqual(happened, []);
  });

  it("does not say that nothing was stored when the first part of a group was", async () => {
    const { steps, step } = open((ids) => {
      if (ids.includes("b")) throw new BusError("STORAGE_FULL", "full");
    });
    const handed = await Promise.allSettled([steps.append(batch("a")), step("fence"), steps.append(batch("b"))]);
    const reasons = handed.map((each) => (each.status === "rejected" ? (each.reason as BusError).reason : "done"));
    assert.deepEqual([reasons[0], reasons[2]], ["STORAGE_UNAVAILABLE", "STORAGE_UNAVAILABLE"]);
    await steps.settled();
  });
});
