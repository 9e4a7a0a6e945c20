import type { Acked, HistoryEvent } from "../../test/support/history.ts";

/** An acknowledgement, and when it came, in milliseconds since 1970. */
export interface TimedAck extends Acked {
  readonly atMs: number;
}

/** Where clients write down what they see. */
export interface Recorder {
  record(...events: readonly (HistoryEvent | TimedAck)[]): void;
  /** A name that was not given before: "stream-3". */
  name(what: string): string;
}
