import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { assertHistory, checkHistory, RULES, type Rule } from "./checker.ts";
import {
  createHistory,
  digestOf,
  type HistoryEvent,
  type LogRecord,
  type Place,
  parsePlace,
  showPlace,
} from "./history.ts";

const CHANNEL = "science:explore";
const EPOCH = 0xabc;
const place = (sequence: number, epoch = EPOCH): Place => ({ channel: CHANNEL, epoch, sequence });

interface Sent {
  readonly id: string;
  readonly sequence: number;
  readonly sender?: string;
  readonly audience?: readonly string[] | null;
  readonly label?: string;
}

/** alice's message: sent, and acknowledged at its sequence. */
function sent({ id, sequence, sender = "alice", audience = null, label = "" }: Sent): HistoryEvent[] {
  const attempt = `try-${id}`;
  const about = {
    attempt,
    producer: `${sender}-1`,
    sender,
    channel: CHANNEL,
    id,
    digest: digestOf(id),
    audience,
    label,
  };
  return [
    { kind: "attempted", ...about },
    { kind: "acked", attempt, place: place(sequence), duplicate: false },
  ];
}

const delivered = (stream: string, id: string, sequence: number, epoch = EPOCH, sender = "alice"): HistoryEvent => ({
  kind: "delivered",
  stream,
  place: place(sequence, epoch),
  id,
  sender,
  digest: digestOf(id),
});
const opened = (stream: string, start: "earliest" | "new" | readonly Place[] = "earliest"): HistoryEvent => ({
  kind: "opened",
  stream,
  reader: "bob-1",
  agent: "bob",
  start,
});
const positions = (stream: string, ...places: readonly Place[]): HistoryEvent => ({
  kind: "positions",
  stream,
  places,
});
const entry = (id: string, sequence: number, epoch = EPOCH): LogRecord => {
  return { id, sequence, epoch, sender: "alice", digest: digestOf(id) };
};
const fetched = (entries: readonly LogRecord[], floor = 1, head = entries.at(-1)?.sequence ?? 0): HistoryEvent => {
  return { kind: "fetched", agent: "alice", channel: CHANNEL, floor, head, entries };
};
const abc = [sent({ id: "a", sequence: 1 }), sent({ id: "b", sequence: 2 }), sent({ id: "c", sequence: 3 })].flat();
const logOfAbc = fetched([entry("a", 1), entry("b", 2), entry("c", 3)]);

function breaks(rule: Rule, events: readonly HistoryEvent[], options = {}): void {
  const { violations } = checkHistory(events, options);
  assert.deepEqual([...new Set(violations.map((violation) => violation.rule))], [rule], JSON.stringify(violations));
  shown.add(rule);
}
function holds(events: readonly HistoryEvent[], options = {}) {
  return assertHistory(events, options);
}
const shown = new Set<Rule>();

describe("history checker: what is right passes", () => {
  it("a stream cut in the middle and resumed", () => {
    const checked = holds([
      ...abc,
      opened("s1"),
      delivered("s1", "a", 1),
      positions("s1", place(1)),
      { kind: "cut", stream: "s1" },
      opened("s2", [place(1)]),
      delivered("s2", "b", 2),
      delivered("s2", "c", 3),
      { kind: "settled", reader: "bob-1" },
      logOfAbc,
    ]);
    const { messages, acked, ackedLookedFor, deliveries, streams, resumes } = checked;
    assert.deepEqual([messages, acked, ackedLookedFor, deliveries, streams, resumes], [3, 3, 3, 3, 2, 1]);
  });

  it("a retry that is told to be a duplicate, and one whose first attempt has no answer", () => {
    holds([
      ...abc,
      { ...abc[0], attempt: "again" } as HistoryEvent,
      { kind: "acked", attempt: "again", place: place(1), duplicate: true },
      { ...abc[4], attempt: "lost", id: "d", digest: digestOf("d") } as HistoryEvent,
      { kind: "unknown", attempt: "lost" },
      fetched([entry("a", 1), entry("b", 2), entry("c", 3), entry("d", 4)]),
    ]);
  });

  it("a lost message that an attempt without an answer brings back behind a later one", () => {
    const first = sent({ id: "a", sequence: 1 });
    const lost = { kind: "lost", channel: CHANNEL, epoch: EPOCH, first: 1, last: 1 } as const;
    const late = [
      { ...first[0], attempt: "late" },
      { kind: "unknown", attempt: "late" },
    ] as readonly HistoryEvent[];
    const [attempted] = sent({ id: "b", sequence: 1 });
    const next = [attempted!, { kind: "acked", attempt: "try-b", place: place(1, 7), duplicate: false } as const];
    const log = fetched([entry("b", 1, 7), entry("a", 2, 7)]);
    holds([...late, ...first, lost, ...next, log]);
    breaks("PRODUCER_ORDER", [...first, lost, ...next, log]);
  });

  it("what was trimmed before a loss, and is there again behind it", () => {
    const gap = { kind: "gap", stream: "s1", channel: CHANNEL, first: 1, last: 1, cause: "RETENTION" } as const;
    const lost = { kind: "lost", channel: CHANNEL, epoch: EPOCH, first: 4, last: 9 } as const;
    holds([...abc, opened("s1", [place(0)]), gap, delivered("s1", "b", 2), lost, logOfAbc]);
    breaks("GAP_FALSE", [...abc, opened("s1", [place(0)]), { ...gap, cause: "DAMAGED" }, lost, logOfAbc]);
  });

  it("a message without an answer that is known to be lost, and sent again behind a later one", () => {
    const lost = { kind: "lost", channel: CHANNEL, epoch: EPOCH, first: 1, last: 1 } as const;
    const [attempted, acked] = sent({ id: "a", sequence: 1 });
    const unanswered = [
      { ...attempted, attempt: "late" },
      { kind: "unknown", attempt: "late" },
    ] as readonly HistoryEvent[];
    const again = [attempted!, { ...acked, place: place(2, 7) } as HistoryEvent];
    const [next] = sent({ id: "b", sequence: 1 });
    const after = [next!, { kind: "acked", attempt: "try-b", place: place(1, 7), duplicate: false } as const];
    const log = fetched([entry("b", 1, 7), entry("a", 2, 7)]);
    holds([...unanswered, { ...lost, ids: ["a"] }, ...after, ...again, log]);
    breaks("PRODUCER_ORDER", [...unanswered, lost, ...after, ...again, log]);
  });

  it("a lost message that was routed to others before anybody was told for whom it is", () => {
    const lost = { kind: "lost", channel: CHANNEL, epoch: EPOCH, first: 1, last: 1 } as const;
    const [attempted] = sent({ id: "a", sequence: 1 });
    const { audience: _unset, ...routed } = attempted as Extract<HistoryEvent, { kind: "attempted" }>;
    const acked = { kind: "acked", attempt: "try-a", place: place(1, 7), duplicate: false } as const;
    const read = [opened("s1"), delivered("s1", "a", 1)];
    holds([routed, ...read, lost, { ...acked, audience: ["carol"] }]);
    breaks("LEAKED", [{ ...routed, audience: ["carol"] }, ...read, lost, acked]);
  });

  it("a refused message that is sent again behind a later one", () => {
    const attempt = { ...abc[0], attempt: "refused", id: "z", digest: digestOf("z") } as HistoryEvent;
    holds([
      attempt,
      { kind: "failed", attempt: "refused" },
      ...abc,
      { ...attempt, attempt: "again" } as HistoryEvent,
      { kind: "acked", attempt: "again", place: place(4), duplicate: false },
    ]);
  });

  it("private messages, own messages and filtered ones are passed by", () => {
    holds([
      ...sent({ id: "a", sequence: 1, audience: ["carol"] }),
      ...sent({ id: "own", sequence: 2, sender: "bob" }),
      ...sent({ id: "c", sequence: 3, label: "wanted" }),
      ...sent({ id: "d", sequence: 4, label: "other" }),
      { ...opened("s1"), only: "wanted" } as HistoryEvent,
      delivered("s1", "c", 3),
      positions("s1", place(4)),
      { kind: "settled", reader: "bob-1" },
    ]);
  });

  it("retention, told", () => {
    holds([
      ...abc,
      opened("s1", [place(0)]),
      { kind: "gap", stream: "s1", channel: CHANNEL, first: 1, last: 2, cause: "RETENTION" },
      delivered("s1", "c", 3),
      fetched([entry("c", 3)], 3),
    ]);
  });

  it("what was trimmed before a reader asked for all there is, untold", () => {
    holds([...abc, opened("s1"), delivered("s1", "c", 3), fetched([entry("c", 3)], 3)]);
  });

  it("a rolled-back log under a new epoch, told, and the lost messages sent again", () => {
    const again = { ...abc[4], attempt: "again" } as HistoryEvent;
    holds(
      [
        ...abc,
        opened("s1"),
        ...[delivered("s1", "a", 1), delivered("s1", "b", 2), delivered("s1", "c", 3)],
        { kind: "cut", stream: "s1" },
        again,
        { kind: "acked", attempt: "again", place: place(2, 7), duplicate: false },
        opened("s2", [place(3)]),
        { kind: "gap", stream: "s2", channel: CHANNEL, first: 2, last: 3, cause: "NEW_EPOCH" },
        delivered("s2", "c", 2, 7),
        fetched([entry("a", 1), entry("c", 2, 7)]),
      ],
      { volatileChannels: [CHANNEL] },
    );
  });

  it("a subscription that begins now", () => {
    holds([...abc, opened("s1", "new"), positions("s1", place(2)), delivered("s1", "c", 3)]);
  });

  it("whatever is cut, wherever", () =>
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 6 }), (cuts) => {
        const ids = Array.from({ length: 20 }, (_, i) => `m${i + 1}`);
        const events = ids.flatMap((id, i) => sent({ id, sequence: i + 1 }));
        let at = 0;
        [...cuts.sort((a, b) => a - b), 20].forEach((end, n) => {
          events.push(opened(`s${n}`, n === 0 ? "earliest" : [place(at)]));
          for (; at < end; at++) events.push(delivered(`s${n}`, ids[at]!, at + 1));
          if (at > 0) events.push(positions(`s${n}`, place(at)));
        });
        events.push({ kind: "settled", reader: "bob-1" }, fetched(ids.map((id, i) => entry(id, i + 1))));
        holds(events);
      }),
    ));
});

describe("history checker: what is wrong is caught", () => {
  it("an acknowledged message is gone", () => {
    breaks("ACKED_LOST", [...abc, fetched([entry("a", 1), entry("b", 2)])]);
    const overwritten = { ...abc[4], attempt: "other", id: "d", digest: digestOf("d") } as HistoryEvent;
    const log = fetched([entry("a", 1), entry("b", 2), entry("d", 3, 7)]);
    breaks("ACKED_LOST", [...abc, overwritten, { kind: "unknown", attempt: "other" }, log]);
  });

  it("a retry is acknowledged elsewhere, or as new", () => {
    const again = { ...abc[0], attempt: "again" } as HistoryEvent;
    breaks("ACK_MOVED", [...abc, again, { kind: "acked", attempt: "again", place: place(1), duplicate: false }]);
    const moved = checkHistory([...abc, again, { kind: "acked", attempt: "again", place: place(4), duplicate: true }]);
    assert.deepEqual([...new Set(moved.violations.map(({ rule }) => rule))].sort(), ["ACK_MOVED", "STORED_TWICE"]);
  });

  it("a message is stored twice", () => {
    breaks("STORED_TWICE", [...abc, fetched([entry("a", 1), entry("b", 2), entry("c", 3), entry("a", 4)])]);
  });

  it("a log that lost its end issues sequences under the old epoch", () => {
    const other = { ...abc[4], attempt: "other", id: "d", digest: digestOf("d") } as HistoryEvent;
    const events = [...abc, other, { kind: "acked", attempt: "other", place: place(3), duplicate: false } as const];
    const { violations } = checkHistory([...events, fetched([entry("a", 1), entry("b", 2), entry("d", 3)])]);
    assert.deepEqual([...new Set(violations.map(({ rule }) => rule))].sort(), ["ACKED_LOST", "SEQUENCE_REUSED"]);
    breaks(
      "SEQUENCE_REUSED",
      [...events.filter((event) => event.kind !== "acked"), delivered2("c"), delivered2("d")].flat(),
    );
  });

  it("other content under a used id is accepted", () => {
    const other = { ...abc[0], attempt: "other", digest: digestOf("changed") } as HistoryEvent;
    breaks("CONFLICT_ACCEPTED", [
      ...abc,
      other,
      { kind: "acked", attempt: "other", place: place(4), duplicate: false },
    ]);
  });

  it("a message that nobody sent, or that was refused", () => {
    breaks("PHANTOM", [...abc, fetched([entry("a", 1), entry("b", 2), entry("c", 3), entry("x", 4)])]);
    const refused = { ...abc[4], attempt: "refused", id: "r", digest: digestOf("r") } as HistoryEvent;
    const log = fetched([entry("a", 1), entry("b", 2), entry("c", 3), entry("r", 4)]);
    breaks("PHANTOM", [...abc, refused, { kind: "failed", attempt: "refused" }, log]);
  });

  it("bytes are changed on the way", () => {
    breaks("BYTES_CHANGED", [...abc, opened("s1"), { ...delivered("s1", "a", 1), digest: "?" } as HistoryEvent]);
  });

  it("a producer's messages change places", () => {
    breaks("PRODUCER_ORDER", [...sent({ id: "a", sequence: 2 }), ...sent({ id: "b", sequence: 1 })]);
  });

  it("a sequence between floor and head is empty", () => {
    const ac = [...sent({ id: "a", sequence: 1 }), ...sent({ id: "c", sequence: 3 })];
    breaks("LOG_HOLE", [...ac, fetched([entry("a", 1), entry("c", 3)])]);
  });

  it("an epoch comes back, or time goes back", () => {
    const unsure = abc.filter((event) => event.kind === "attempted");
    breaks("EPOCH_RETURNED", [...unsure, fetched([entry("a", 1, 5), entry("b", 2, 6), entry("c", 3, 5)])]);
    const times = [entry("a", 1), entry("b", 2), entry("c", 3)].map((it, i) => ({
      ...it,
      acceptedAtMs: [1, 3, 2][i]!,
    }));
    breaks("TIME_REVERSED", [...abc, fetched(times)]);
  });

  it("a private message is shown to another, live or by fetch", () => {
    const secret = sent({ id: "a", sequence: 1, audience: ["carol"] });
    breaks("LEAKED", [...secret, opened("s1"), delivered("s1", "a", 1)]);
    breaks("LEAKED", [...secret, { ...fetched([entry("a", 1)]), agent: "bob" } as HistoryEvent]);
  });

  it("a stream brings its reader's own messages, or what its filter excludes", () => {
    const own = sent({ id: "own", sequence: 1, sender: "bob" });
    breaks("UNWANTED", [...own, opened("s1"), delivered("s1", "own", 1, EPOCH, "bob")]);
    breaks("UNWANTED", [...abc, { ...opened("s1", "new"), only: "x" } as HistoryEvent, delivered("s1", "a", 1)]);
  });

  it("a stream goes back, or brings a message twice", () => {
    const b = [...abc, opened("s1", "new"), delivered("s1", "b", 2)];
    breaks("STREAM_DUPLICATE", [...b, delivered("s1", "b", 2)]);
    breaks("STREAM_ORDER", [...b, delivered("s1", "c", 3), positions("s1", place(1))]);
    const late = [...abc, opened("s1", [place(0)]), delivered("s1", "b", 2), delivered("s1", "a", 1)];
    const rules = checkHistory(late).violations.map(({ rule }) => rule);
    assert.deepEqual(rules, ["MISSED", "STREAM_ORDER"]);
  });

  it("a resumed stream repeats", () => {
    breaks("RESUME_REPEATED", [...abc, opened("s1", [place(2)]), delivered("s1", "b", 2)]);
  });

  it("a reader resumes from further on than it was told", () => {
    breaks("RESUME_AHEAD", [...abc, opened("s1"), delivered("s1", "a", 1), opened("s2", [place(2)])]);
  });

  it("a stream goes past a message: live, by a position, after a resume, over trimmed ones", () => {
    breaks("MISSED", [...abc, opened("s1"), delivered("s1", "a", 1), delivered("s1", "c", 3)]);
    breaks("MISSED", [...abc, opened("s1"), positions("s1", place(3))]);
    breaks("MISSED", [...abc, opened("s1", [place(1)]), delivered("s1", "c", 3)]);
    breaks("MISSED", [...abc, opened("s1", [place(0)]), delivered("s1", "c", 3), fetched([entry("c", 3)], 3)]);
    const halfGap = { kind: "gap", stream: "s1", channel: CHANNEL, first: 2, last: 2, cause: "RETENTION" } as const;
    breaks("MISSED", [...abc, opened("s1", [place(0)]), halfGap, delivered("s1", "c", 3), fetched([entry("c", 3)], 3)]);
  });

  it("a filter makes the cursor go past what is wanted", () => {
    const events = [...sent({ id: "a", sequence: 1, label: "x" }), ...sent({ id: "b", sequence: 2, label: "y" })];
    breaks("MISSED", [...events, { ...opened("s1"), only: "x" } as HistoryEvent, positions("s1", place(2))]);
  });

  it("a Gap is told about what is there, or was brought", () => {
    const gap = { kind: "gap", stream: "s1", channel: CHANNEL, first: 1, last: 1, cause: "RETENTION" } as const;
    breaks("GAP_FALSE", [...abc, opened("s1", [place(0)]), gap, delivered("s1", "b", 2), logOfAbc]);
    breaks("GAP_FALSE", [...abc, opened("s1"), delivered("s1", "a", 1), gap]);
    breaks("GAP_FALSE", [
      ...abc,
      opened("s1", [place(2)]),
      { ...gap, first: 2, last: 2, cause: "NEW_EPOCH" },
      logOfAbc,
    ]);
  });

  it("a reader still lacks something when all is over", () => {
    const settled = { kind: "settled", reader: "bob-1" } as const;
    breaks("UNDELIVERED", [...abc, opened("s1"), delivered("s1", "a", 1), settled, logOfAbc]);
  });

  it("a stream goes on behind a loss that it was not told of", () => {
    const lost = { kind: "lost", channel: CHANNEL, epoch: EPOCH, first: 2, last: 3 } as const;
    const after = fetched([entry("a", 1), entry("c", 2, 7)]);
    const retried = { kind: "acked", attempt: "try-c", place: place(2, 7), duplicate: false } as const;
    const read = [opened("s1"), delivered("s1", "a", 1), delivered("s1", "b", 2), positions("s1", place(2))];
    breaks("LOSS_UNTOLD", [...abc, ...read, lost, positions("s1", place(2, 7)), retried, after]);
    const gap = { kind: "gap", stream: "s1", channel: CHANNEL, first: 2, last: 2, cause: "NEW_EPOCH" } as const;
    holds([...abc, ...read, lost, gap, delivered("s1", "c", 2, 7), retried, after]);
    // A deleted channel is another one afterwards.
    const deleted = { ...lost, first: 1, isDeleted: true };
    const again = { ...retried, place: place(1, 7) };
    holds([
      ...abc,
      ...read,
      deleted,
      positions("s1", place(0, 7)),
      delivered("s1", "c", 1, 7),
      again,
      fetched([entry("c", 1, 7)]),
    ]);
  });

  it("every rule has been seen to catch something", () => {
    assert.deepEqual([...shown].sort(), Object.keys(RULES).sort());
  });
});

function delivered2(id: string): HistoryEvent[] {
  return [opened(`of-${id}`, "new"), delivered(`of-${id}`, id, 3)];
}

describe("history", () => {
  it("refuses outcomes of what it never saw", () => {
    assert.throws(() => checkHistory([{ kind: "failed", attempt: "x" }]), /never saw attempted/);
    assert.throws(() => checkHistory([positions("s9", place(1))]), /never saw opened/);
  });

  it("reads positions as the server writes them", () => {
    const text = "_inbox:alice@example.org@0000abcd.12";
    assert.deepEqual(parsePlace(text), { channel: "_inbox:alice@example.org", epoch: 0xabcd, sequence: 12 });
    assert.equal(showPlace(parsePlace(text)), text);
    assert.throws(() => parsePlace("science:explore@1.1"), /not a position/);
  });

  it("is kept as lines", () => {
    const history = createHistory();
    history.record(...abc);
    assert.equal(history.toJsonLines().trim().split("\n").length, abc.length);
    assert.notEqual(history.name("stream"), history.name("stream"));
  });
});
