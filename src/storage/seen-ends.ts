import type { ChannelName } from "../core/names.ts";
import type { LogEnd } from "./message-log.ts";

/** Logs that are remembered; those heard of first are forgotten first. Some 200 bytes each. */
const MAX_LOGS = 100_000;
/** Epochs of one log, the newest ones. */
const MAX_EPOCHS = 16;

interface SeenEnd {
  readonly epoch: LogEnd["epoch"];
  head: LogEnd["head"];
}

/**
 * How far this node has seen each log reach: by its own appends, by the rings of other nodes, by asking. A log that stands
 * under the same epoch, with less, has lost its end behind everybody's back, as when a dump is loaded while the server runs.
 * Each append brings what was seen along, so that such a log gets a new epoch in the step that would issue the first
 * sequence for the second time.
 *
 * Epochs are random numbers: what was seen of an older log of the same name says nothing of a newer one, and an end that is
 * heard of late does no harm.
 */
export class SeenEnds {
  readonly #logs = new Map<string, SeenEnd[]>();

  note(key: string, { epoch, head }: Pick<LogEnd, "epoch" | "head">): void {
    const ends = this.#logs.get(key);
    const known = ends?.find((end) => end.epoch === epoch);
    if (known !== undefined) {
      if (known.head < head) known.head = head;
      return;
    }
    if (ends !== undefined) {
      ends.push({ epoch, head });
      if (ends.length > MAX_EPOCHS) ends.shift();
      return;
    }
    if (this.#logs.size >= MAX_LOGS) this.#logs.delete(this.#logs.keys().next().value!);
    this.#logs.set(key, [{ epoch, head }]);
  }

  /** What a log answered to the port's `ends`. */
  noteAll(names: readonly ChannelName[], ends: readonly (LogEnd | undefined)[]): void {
    ends.forEach((end, i) => {
      if (end !== undefined) this.note(names[i]!.key, end);
    });
  }

  /** Oldest first. */
  of(key: string): readonly Readonly<SeenEnd>[] {
    return this.#logs.get(key) ?? [];
  }

  /** Whether more was seen of the log than there is now, with this end. */
  hasLost(key: string, { epoch, head }: Pick<LogEnd, "epoch" | "head">): boolean {
    return this.of(key).some((seen) => seen.epoch === epoch && seen.head > head);
  }
}
