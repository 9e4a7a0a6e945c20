import type { Stop } from "../core/clock.ts";
import type { RecordKey } from "./directory.ts";

/**
 * Says that something changed, never what it is: a lost ring costs latency, never a message, because who listens also
 * looks by itself from time to time. Rings of one topic may be merged; a ring may come to the one who rang.
 *
 * A shared storage's logs ring by themselves for what they stored; everything else is rung by who did it. To ring never
 * waits and never fails; what cannot be sent is dropped, and `missed` tells so once the backend can be heard again.
 */
export interface Doorbell {
  ring(ring: Ring): void;
  /**
   * Told whether other nodes are there, as far as this one knows; until it is told, there are some. While there are none,
   * rings of logs, which cost each append something, need not be sent, and this node's listeners hear them all the same. A
   * node that has come and is not known yet finds by asking, as after a ring that was lost.
   */
  expectOthers?(present: boolean): void;
  /** Until the returned function is called. A listener that throws is logged and kept. */
  listen(listener: (ring: Ring) => void): Stop;
}

/** A log's ring. */
export type LogRing = Extract<Ring, { readonly topic: "log" }>;

export type Ring =
  /** The log `key` ("room:channel") has reached at least `head`, whose sequence was issued under `epoch`. */
  | { readonly topic: "log"; readonly key: string; readonly head: number; readonly epoch: number }
  /** This record was put or deleted. */
  | { readonly topic: "record"; readonly key: RecordKey }
  /** Rings may have been lost, because the backend could not be heard for a while: look at everything. */
  | { readonly topic: "missed" };
