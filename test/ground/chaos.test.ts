import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, onTestFinished } from "vitest";
import { ChannelHistories } from "../../scripts/chaos/channel-histories.ts";
import { checkFleeting } from "../../scripts/chaos/check-fleeting.ts";
import { explainedLosses } from "../../scripts/chaos/judge.ts";
import { parseChaosOptions } from "../../scripts/chaos/options.ts";
import type { TimedAck } from "../../scripts/chaos/recorder.ts";
import { quantile, ServiceWatch } from "../../scripts/chaos/service-watch.ts";
import { checkHistory } from "../support/checker.ts";
import { digestOf, type HistoryEvent } from "../support/history.ts";

const CHANNEL = "chaos:open";
const place = (sequence: number, epoch = 7) => ({ channel: CHANNEL, epoch, sequence });

function sent(id: string, sequence: number, atMs: number, epoch = 7): (HistoryEvent | TimedAck)[] {
  const attempt = `try-${id}`;
  const about = { attempt, producer: "p", sender: "ann", channel: CHANNEL, id, digest: digestOf(id), audience: null };
  return [
    { kind: "attempted", ...about },
    { kind: "acked", attempt, place: place(sequence, epoch), duplicate: false, atMs },
  ];
}
const log = (...entries: readonly [id: string, sequence: number, epoch: number][]): HistoryEvent => ({
  kind: "fetched",
  agent: "ann",
  channel: CHANNEL,
  floor: 1,
  head: entries.at(-1)?.[1] ?? 0,
  entries: entries.map(([id, sequence, epoch]) => ({ id, sequence, epoch, sender: "ann", digest: digestOf(id) })),
});
const rules = (events: readonly HistoryEvent[]) => [
  ...new Set(checkHistory(events).violations.map(({ rule }) => rule)),
];

describe("chaos: what a power cut took", () => {
  const windows = [{ fromMs: 1_000, toMs: 2_000 }];
  const lost = [...sent("a", 1, 500), ...sent("b", 2, 1_500), ...sent("c", 2, 3_000, 8), log(["a", 1, 7], ["c", 2, 8])];

  it("is explained when it was acknowledged in the second before, and the log has another epoch", () => {
    assert.deepEqual(rules(lost), ["ACKED_LOST"]);
    const { events, acked } = explainedLosses(CHANNEL, lost, windows);
    assert.deepEqual(events, [{ kind: "lost", channel: CHANNEL, epoch: 7, first: 2, last: 2 }]);
    assert.equal(acked, 1);
    assert.deepEqual(rules([...lost, ...events]), []);
  });

  it("is lost when it was acknowledged before that second", () => {
    const early = [...lost.slice(0, 2), ...sent("b", 2, 900), ...lost.slice(4)];
    const { events } = explainedLosses(CHANNEL, early, windows);
    assert.deepEqual(rules([...early, ...events]), ["ACKED_LOST"]);
  });

  it("is a broken promise when the epoch stayed the same", () => {
    const reused = [
      ...sent("a", 1, 500),
      ...sent("b", 2, 1_500),
      ...sent("c", 2, 3_000),
      log(["a", 1, 7], ["c", 2, 7]),
    ];
    const { events } = explainedLosses(CHANNEL, reused, windows);
    assert.ok(rules([...reused, ...events]).includes("SEQUENCE_REUSED"));
  });

  it("is a broken promise when a reader that had seen it is told no Gap", () => {
    const about = { stream: "s", reader: "r", agent: "bob" };
    const reading: HistoryEvent[] = [
      { kind: "opened", ...about, start: "earliest" },
      { kind: "delivered", stream: "s", place: place(1), id: "a", sender: "ann", digest: digestOf("a") },
      { kind: "delivered", stream: "s", place: place(2), id: "b", sender: "ann", digest: digestOf("b") },
      { kind: "delivered", stream: "s", place: place(3, 8), id: "d", sender: "ann", digest: digestOf("d") },
    ];
    const all = [
      ...lost.slice(0, -1),
      ...sent("d", 3, 3_100, 8),
      log(["a", 1, 7], ["c", 2, 8], ["d", 3, 8]),
      ...reading,
    ];
    const { events } = explainedLosses(CHANNEL, all, windows);
    assert.ok(rules([...all, ...events]).includes("LOSS_UNTOLD"));
  });
});

describe("chaos: VOLATILE over several nodes", () => {
  const shown = (id: string, stream = "s"): HistoryEvent => {
    return { kind: "delivered", stream, place: place(1), id, sender: "ann", digest: digestOf(id) };
  };
  const told: HistoryEvent = { kind: "gap", stream: "s", channel: CHANNEL, first: 1, last: 0, cause: "NEW_EPOCH" };
  const ab = [...sent("a", 1, 0), ...sent("b", 2, 0)];
  const broken = (...events: readonly HistoryEvent[]) =>
    checkFleeting([...ab, ...events]).violations.map(({ rule }) => rule);

  it("may be missed, and come again behind a Gap", () => {
    assert.deepEqual(broken(shown("b"), told, shown("a"), shown("b")), []);
  });
  it("comes at most once, in the order of its producer, as it was sent", () => {
    assert.deepEqual(broken(shown("a"), shown("a")), ["STREAM_DUPLICATE"]);
    assert.deepEqual(broken(shown("b"), shown("a")), ["PRODUCER_ORDER"]);
    assert.deepEqual(broken(shown("z")), ["PHANTOM"]);
  });
});

describe("chaos: the history on disk", () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), "agentbus-history-"));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  it("is one file a channel, each with what is about it", async () => {
    const path = folder();
    const history = new ChannelHistories(path, [CHANNEL, "chaos:other"]);
    const other = { channel: "chaos:other", epoch: 1, sequence: 4 };
    history.record({ kind: "opened", stream: "s", reader: "r", agent: "bob", start: [place(1), other] });
    history.record(...sent("a", 1, 0), { kind: "positions", stream: "s", places: [place(1), other] });
    await history.close();
    const mine = await history.read(CHANNEL);
    assert.deepEqual(
      mine.map(({ kind }) => kind),
      ["opened", "attempted", "acked", "positions"],
    );
    assert.deepEqual(mine[0], { kind: "opened", stream: "s", reader: "r", agent: "bob", start: [place(1)] });
    assert.equal((await history.read("chaos:other")).length, 2);
  });

  it("takes over another program's, and what has no outcome is unknown", async () => {
    const path = folder();
    const history = new ChannelHistories(join(path, "own"), [CHANNEL]);
    const [attempted] = sent("a", 1, 0);
    writeFileSync(join(path, "python.jsonl"), `${JSON.stringify(attempted)}\n{"kind":"deliv`);
    await history.takeOver(join(path, "python.jsonl"));
    await history.close();
    assert.deepEqual(await history.read(CHANNEL), [attempted, { kind: "unknown", attempt: "try-a" }]);
    assert.ok(readFileSync(history.pathOf(CHANNEL), "utf8").endsWith("\n"));
  });
});

describe("chaos: who is served", () => {
  it("knows who is behind a time, and how long a reader took to resume after its node was killed", () => {
    const watch = new ServiceWatch();
    for (const client of ["writer", "reader"]) watch.expect(client);
    watch.onAcked("writer", 3, 1_000);
    watch.onRead("reader", 900);
    assert.deepEqual([watch.acked, watch.behind(950)], [3, ["reader"]]);
    watch.onRead("reader", 1_100);
    assert.deepEqual(watch.behind(1_000), []);

    watch.onCut("reader", 1_900);
    watch.onOpened("reader", 1_950);
    watch.nodeIsLost(2_000);
    watch.onCut("reader", 2_010);
    watch.onCut("reader", 2_300);
    watch.onOpened("reader", 2_500);
    watch.nodeIsBack();
    assert.deepEqual(watch.resumes, [{ client: "reader", ms: 500 }]);
  });
  it("quantiles", () => {
    assert.equal(quantile([], 0.99), undefined);
    assert.equal(quantile([3, 1, 2], 0.5), 2);
    assert.equal(quantile([5], 0.99), 5);
  });
});

describe("chaos: options", () => {
  it("has defaults, and says what is wrong", () => {
    const { backend, nodes, durability, faults } = parseChaosOptions(["--backend", "redis"]);
    assert.deepEqual([backend, nodes, durability, faults], ["redis", 2, "SYNCED", undefined]);
    assert.equal(parseChaosOptions([]).nodes, 1);
    assert.throws(() => parseChaosOptions(["--backend", "oracle"]), /--backend "oracle": give one of memory, file/);
    assert.throws(() => parseChaosOptions(["--nodes", "2"]), /file storage belongs to one node/);
    assert.throws(() => parseChaosOptions(["--minutes", "soon"]), /--minutes "soon": give a number/);
    assert.throws(() => parseChaosOptions(["--faults", "node-kill,meteor"]), /--faults "meteor"/);
  });
});
