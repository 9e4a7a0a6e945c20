import assert from "node:assert/strict";
import fc from "fast-check";
import { it } from "vitest";
import { type ChannelName, channelName } from "../../src/core/names.ts";
import type { AppendOutcome, MessageLog } from "../../src/storage/message-log.ts";
import { batch, isBusError, readAll, readRequest, record, sequencesOf, WINDOW_MS } from "./appending.ts";
import type { OpenedStorage } from "./opened-storage.ts";

/** The log, in the simplest words: arrays and maps. */
class Model {
  incarnation: string | undefined;
  version = 1;
  fencedAt = 0;
  head = 0;
  links = 1;
  now = 0;
  entries: { sequence: number; id: string; atMs: number; bytes: number }[] = [];
  keys = new Map<string, { sequence: number; digest: number; atMs: number }>();

  /** A durable storage may forget, when it is opened again, the keys of messages that it no longer has. */
  get hasTrimmedKeys(): boolean {
    const floor = this.entries[0]?.sequence ?? this.head + 1;
    return [...this.keys.values()].some((key) => key.sequence < floor && this.now - key.atMs < WINDOW_MS);
  }

  /** Answers false when a newer log is there: "b" is newer than "a". */
  create(incarnation: string): boolean {
    if (this.incarnation !== undefined && this.incarnation > incarnation) return false;
    if (this.incarnation === incarnation) return true;
    this.clear();
    this.incarnation = incarnation;
    return true;
  }

  clear(): void {
    Object.assign(this, new Model(), { now: this.now });
  }

  append(incarnation: string, version: number, keys: readonly string[], digest: number): unknown {
    if (this.incarnation !== incarnation) return { kind: "gone" };
    if (version < this.version) return { kind: "stale", version: this.version };
    const known = (key: string) => {
      const found = this.keys.get(key);
      return found !== undefined && this.now - found.atMs < WINDOW_MS ? found : undefined;
    };
    const conflict = keys.findIndex((key) => (known(key)?.digest ?? digest) !== digest);
    if (conflict >= 0) return { kind: "conflict", index: conflict };
    if (version > this.version) Object.assign(this, { version, fencedAt: this.head });
    return keys.map((key) => {
      const duplicate = known(key);
      if (duplicate !== undefined) return [duplicate.sequence, true];
      const sequence = ++this.head;
      this.keys.set(key, { sequence, digest, atMs: this.now });
      this.entries.push({ sequence, id: key, atMs: this.now, bytes: key.length });
      return [sequence, false];
    });
  }

  trim(maxAgeMs: number, maxMessages: number, maxBytes: number): void {
    const size = () => this.entries.reduce((sum, entry) => sum + entry.bytes, 0);
    if (maxAgeMs > 0) this.entries = this.entries.filter((entry) => entry.atMs >= this.now - maxAgeMs);
    if (maxMessages > 0) this.entries = this.entries.slice(-maxMessages);
    while (maxBytes > 0 && this.entries.length > 1 && size() > maxBytes) this.entries.shift();
  }
}

const incarnation = fc.constantFrom("a", "b");
const version = fc.integer({ min: 1, max: 4 });
const keys = fc.array(fc.constantFrom(..."klmnopqrst"), { minLength: 1, maxLength: 5 });
const action = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      do: fc.constant("append"),
      incarnation,
      version,
      keys,
      digest: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("advance"), ms: fc.constantFrom(1, 1_000, WINDOW_MS) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("trim"),
      maxAgeMs: fc.constantFrom(0, 1_000),
      maxMessages: fc.integer({ min: 0, max: 5 }),
      maxBytes: fc.integer({ min: 0, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("read"), from: fc.integer({ min: 0, max: 30 }), backward: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fence"), version }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("renew") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("create"), incarnation }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete"), incarnation }) },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

function shapeOf(outcome: AppendOutcome): unknown {
  return outcome.kind === "appended" ? outcome.entries.map((entry) => [entry.sequence, entry.duplicate]) : outcome;
}

export function describeModel(opened: () => OpenedStorage): void {
  it("does what a simple model does, whatever the order of steps", async () => {
    let { log } = opened().storage;
    let runs = 0;
    const reopen = async () => {
      log = (await opened().reopen?.())?.log ?? log;
    };
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 60 }), async (actions) => {
        const name = channelName("model", `run-${++runs}`);
        const model = new Model();
        await log.create(name, "a", 1);
        model.create("a");
        for (const [n, step] of actions.entries()) {
          // Opening a storage takes long; half way, and in some of the runs, is enough.
          if (runs % 10 === 0 && n === actions.length >> 1 && !model.hasTrimmedKeys) await reopen();
          await take(step, model, name, log, opened().advance);
          await compare(log, name, model);
        }
      }),
      { numRuns: 60 },
    );
  });
}

async function take(
  step: Action,
  model: Model,
  name: ChannelName,
  log: MessageLog,
  advance: (ms: number) => void,
): Promise<void> {
  if (step.do === "append") {
    const { incarnation, version, keys, digest: contentDigest } = step;
    const records = keys.map((id) => record({ id, contentDigest, body: Buffer.from(id) }));
    const outcome = await log.append(batch(records, { name, incarnation, version }));
    assert.deepEqual(shapeOf(outcome), model.append(incarnation, version, keys, contentDigest));
  } else if (step.do === "advance") {
    advance(step.ms);
    model.now += step.ms;
  } else if (step.do === "create") {
    const created = log.create(name, step.incarnation, 1);
    if (model.create(step.incarnation)) await created;
    else await assert.rejects(created, isBusError("CHANNEL_DELETED"));
  } else if (step.do === "delete") {
    await log.delete(name, step.incarnation);
    if (model.incarnation === step.incarnation) model.clear();
  } else if (model.incarnation !== undefined) {
    if (step.do === "trim") {
      await log.trim(name, step);
      model.trim(step.maxAgeMs, step.maxMessages, step.maxBytes);
    } else if (step.do === "fence") {
      if (step.version > model.version) Object.assign(model, { version: step.version, fencedAt: model.head });
      assert.equal(await log.fence(name, model.incarnation, step.version), model.fencedAt);
    } else if (step.do === "renew") {
      await log.renewEpoch(name);
      model.links++;
    } else {
      const { from, backward } = step;
      const { entries } = await log.read(readRequest({ name, from, backward }));
      const all = model.entries.map((entry) => entry.sequence);
      const expected = backward ? all.filter((n) => n < from).reverse() : all.filter((n) => n > from);
      assert.deepEqual(sequencesOf(entries), expected);
    }
  }
}

async function compare(log: MessageLog, name: ChannelName, model: Model): Promise<void> {
  const state = await log.state(name);
  if (model.incarnation === undefined) {
    assert.deepEqual([state, ...(await log.ends([name]))], [undefined, undefined]);
    return;
  }
  const bytes = model.entries.reduce((sum, entry) => sum + entry.bytes, 0);
  assert.deepEqual(
    [state!.head, state!.floor, state!.version, state!.links.length, state!.sizeBytes],
    [model.head, model.entries[0]?.sequence ?? model.head + 1, model.version, model.links, bytes],
  );
  const [end] = await log.ends([name]);
  assert.deepEqual(end, { incarnation: model.incarnation, head: model.head, epoch: state!.links.at(-1)!.epoch });
  const entries = await readAll(log, name);
  assert.deepEqual(
    entries.map((entry) => [entry.sequence, entry.id]),
    model.entries.map((entry) => [entry.sequence, entry.id]),
  );
}
