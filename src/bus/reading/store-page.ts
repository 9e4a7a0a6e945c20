import type { GapCause, GapRange } from "../../core/epoch-chain.ts";
import type { LogEntry } from "../../core/message.ts";
import type { ReadResult } from "../../storage/message-log.ts";
import type { TailRead } from "./hub.ts";

/** Sequences of a log that stand for no entry that can be read, by why. */
export function holesOf({ damaged, lost = [] }: Pick<ReadResult, "damaged" | "lost">): GapRange[] {
  const because = (cause: GapCause) => (range: { first: number; last: number }) => ({ ...range, cause });
  const holes = damaged.map(because("DAMAGED"));
  return lost.length === 0 ? holes : [...holes, ...lost.map(because("LOST"))].sort((a, b) => a.first - b.first);
}

/** What a read of the store has for a reader who stands behind `after`: entries, and what it misses, in their order. */
export function* pageBehind(after: number, read: TailRead): Generator<LogEntry | GapRange> {
  const { entries, state, agreed } = read;
  if (agreed < state.head) {
    // Of a log that is not the one that is known only what goes on without a hole, and is in both, is to be believed.
    for (const entry of entries) {
      if (entry.sequence !== ++after || after > agreed) return;
      yield entry;
    }
    return;
  }
  const holes = holesOf(read);
  if (state.floor > after + 1 && (entries[0]?.sequence ?? state.head + 1) >= state.floor) {
    yield { first: after + 1, last: state.floor - 1, cause: "RETENTION" };
    after = state.floor - 1;
  }
  let next = 0;
  for (const entry of entries) {
    for (; next < holes.length && holes[next]!.first < entry.sequence; next++) {
      const hole = holes[next]!;
      if (hole.last > after) yield { ...hole, first: Math.max(hole.first, after + 1) };
    }
    after = entry.sequence;
    yield entry;
  }
  for (; next < holes.length; next++) {
    const hole = holes[next]!;
    if (hole.last > after) yield { ...hole, first: Math.max(hole.first, after + 1) };
  }
}
