import type { Stop } from "../core/clock.ts";
import type { RecordKey } from "./directory.ts";

/**
 * Says that something changed, never what it is: a lost ring costs latency, never a message, because who listens also
 * looks by itself from time to time. Rings of one topic may be merged; a ring may come to the one who rang.
 */
export interface Doorbell {
  ring(ring: Ring): void;
  /** Until the returned function is called. A listener that throws is logged and kept. */
  listen(listener: (ring: Ring) => void): Stop;
}

export type Ring =
  /** The log `key` ("room:channel") has reached at least `head`. */
  | { readonly topic: "log"; readonly key: string; readonly head: number }
  /** This record was put or deleted. */
  | { readonly topic: "record"; readonly key: RecordKey };
