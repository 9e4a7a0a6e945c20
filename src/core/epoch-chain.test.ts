import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { compareExtents, type EpochLink, epochAt, type LogExtent, placeReader } from "./epoch-chain.ts";

/** A log with its history: which (epoch, sequence) every entry ever issued has, and whether it still is in the log. */
interface History {
  readonly log: LogExtent;
  readonly issued: readonly { readonly epoch: number; readonly sequence: number; readonly present: boolean }[];
}

type Step = { readonly kind: "append" | "lose" | "trim"; readonly count: number };

const step = fc.record({
  kind: fc.constantFrom("append", "append", "lose", "trim"),
  count: fc.integer({ min: 0, max: 4 }),
});
const history = fc.array(step as fc.Arbitrary<Step>, { maxLength: 12 }).map(play);

/** Losing the end of the log adds a link before anything is issued again. */
function play(steps: readonly Step[]): History {
  const links: EpochLink[] = [{ epoch: 100, first: 1 }];
  const issued: { epoch: number; sequence: number; present: boolean }[] = [];
  let head = 0;
  let floor = 1;
  for (const { kind, count } of steps) {
    if (kind === "append") {
      for (let i = 0; i < count; i++) issued.push({ epoch: links.at(-1)!.epoch, sequence: ++head, present: true });
    } else if (kind === "trim") floor = Math.min(floor + count, head + 1);
    else {
      head = Math.max(head - count, floor - 1);
      links.push({ epoch: 100 + links.length, first: head + 1 });
      for (const entry of issued) if (entry.present && entry.sequence > head) entry.present = false;
    }
  }
  for (const entry of issued) if (entry.sequence < floor) entry.present = false;
  return { log: { head, floor, links }, issued };
}

describe("placeReader", () => {
  it("S3-US3.1: a reader of any position gets each entry that is there and that it has not seen, and is told of the rest", () => {
    fc.assert(
      fc.property(history, fc.nat(), ({ log, issued }, where) => {
        const seen = issued.length === 0 ? undefined : issued[where % issued.length]!;
        const epoch = seen?.epoch ?? 100;
        const sequence = seen?.sequence ?? 0;
        const { after, gap } = placeReader(log, epoch, sequence);
        const told = (number: number) => gap !== undefined && gap.first <= number && number <= gap.last;
        // What is in the log and lies on the reader's own side of every loss it did not see was seen by it.
        const later = log.links.slice(log.links.findIndex((link) => link.epoch === epoch) + 1);
        const common = Math.min(sequence, ...later.map(({ first }) => first - 1));
        for (let number = 1; number <= log.head; number++) {
          const wasSeen = number <= common;
          const delivered = number > after && number >= log.floor;
          assert.ok(wasSeen || delivered || told(number), `${number} is neither seen, nor delivered, nor told`);
          assert.ok(!(wasSeen && delivered), `${number} is delivered twice`);
        }
        // What it saw and what is no more, it is told of.
        for (let number = common + 1; number <= sequence; number++)
          assert.ok(told(number), `${number} was lost silently`);
      }),
    );
  });

  it("is exact for a position of a log that never lost anything", () => {
    const log = { head: 10, floor: 1, links: [{ epoch: 1, first: 1 }] };
    for (let sequence = 0; sequence <= 10; sequence++) {
      assert.deepEqual(placeReader(log, 1, sequence), { after: sequence, rolledBack: false });
    }
  });

  it("knows no position of another log: everything here is new, how much is missing is unknown", () => {
    const log = { head: 10, floor: 4, links: [{ epoch: 1, first: 1 }] };
    assert.deepEqual(placeReader(log, 2, 7), {
      after: 3,
      gap: { first: 8, last: 0, cause: "NEW_EPOCH" },
      rolledBack: false,
    });
  });

  it("a position beyond the head of the newest epoch shows a log that was rolled back behind our back", () => {
    const links = [
      { epoch: 1, first: 1 },
      { epoch: 2, first: 5 },
    ];
    assert.deepEqual(placeReader({ head: 10, floor: 1, links }, 2, 12), {
      after: 10,
      gap: { first: 11, last: 12, cause: "NEW_EPOCH" },
      rolledBack: true,
    });
    assert.equal(placeReader({ head: 10, floor: 1, links }, 1, 7).rolledBack, false, "known: the chain says so");
  });

  // The new epoch's entries that retention had taken away already were passed over in silence.
  it("tells of trimmed entries, also when they were issued anew in another epoch", () => {
    const links = [
      { epoch: 1, first: 1 },
      { epoch: 2, first: 11 },
    ];
    const { after, gap } = placeReader({ head: 30, floor: 21, links }, 1, 12);
    assert.deepEqual([after, gap], [20, { first: 11, last: 20, cause: "NEW_EPOCH" }]);
    assert.deepEqual(placeReader({ head: 30, floor: 21, links }, 2, 15).gap, {
      first: 16,
      last: 20,
      cause: "RETENTION",
    });
  });
});

describe("epochAt", () => {
  it("is the last link that begins at or before the sequence", () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 0, max: 60 }), ({ log: { links } }, sequence) => {
        const expected = links.findLast((link) => link.first <= sequence) ?? links[0]!;
        assert.equal(epochAt(links, sequence), expected.epoch);
      }),
    );
  });
});

describe("compareExtents", () => {
  const A = { epoch: 1, first: 1 };
  const B = { epoch: 2, first: 8 };
  const extent = (head: number, ...links: EpochLink[]): LogExtent => ({ head, floor: 1, links });

  it("finds growth, with and without a new epoch", () => {
    assert.deepEqual(compareExtents(extent(5, A), extent(5, A)).kind, "grown");
    assert.deepEqual(compareExtents(extent(5, A), extent(9, A)).kind, "grown");
    assert.deepEqual(compareExtents(extent(7, A), extent(9, A, B)).kind, "grown");
    assert.deepEqual(compareExtents(extent(3, A), extent(9, A, B)).kind, "grown");
  });

  it("finds where a log parts from what was known of it", () => {
    assert.deepEqual(compareExtents(extent(10, A), extent(9, A, B)), { agreed: 7, kind: "forked" });
    assert.deepEqual(compareExtents(extent(10, A, B), extent(6, A, { epoch: 3, first: 6 })), {
      agreed: 5,
      kind: "forked",
    });
    assert.deepEqual(compareExtents(extent(10, A), extent(3, B)), { agreed: 0, kind: "forked" });
  });

  it("says nothing against what was not known", () => {
    assert.deepEqual(compareExtents(extent(9, B), extent(12, A, { epoch: 3, first: 8 })), {
      agreed: 7,
      kind: "forked",
    });
    assert.deepEqual(compareExtents(extent(9, B), extent(4, A)), { agreed: 4, kind: "forked" });
  });

  it("finds answers that are behind", () => {
    assert.deepEqual(compareExtents(extent(10, A), extent(7, A)), { agreed: 7, kind: "behind" });
    assert.deepEqual(compareExtents(extent(10, A, B), extent(9, A)), { agreed: 7, kind: "behind" });
    assert.deepEqual(compareExtents(extent(10, A, B), extent(5, A)), { agreed: 5, kind: "behind" });
  });

  it("agrees with what really is in both", () =>
    fc.assert(
      fc.property(history, fc.nat(), ({ log, issued }, at) => {
        // What was known when so many entries had been issued.
        const some = issued.slice(0, issued.length === 0 ? 0 : at % (issued.length + 1));
        const known = new Map(some.map(({ sequence, epoch }) => [sequence, epoch]));
        const last = some.at(-1);
        if (last === undefined) return;
        const links = log.links.slice(0, log.links.findIndex(({ epoch }) => epoch === last.epoch) + 1);
        const { agreed, kind } = compareExtents({ head: last.sequence, links }, log);
        for (let sequence = 1; sequence <= last.sequence; sequence++) {
          const same = sequence <= log.head && epochAt(log.links, sequence) === known.get(sequence);
          assert.equal(sequence <= agreed, same, `${sequence} of ${last.sequence}; agreed ${agreed}`);
        }
        assert.equal(kind === "grown", agreed >= last.sequence);
      }),
    ));
});
