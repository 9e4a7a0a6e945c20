import type { BusError } from "../../core/errors.ts";

/** A bidi stream that a drain must reach. Subscriptions are reached through the bus. */
export interface OpenLine {
  goAway(graceMs: number): void;
  fail(error: BusError): void;
}

/** The bidi streams of this node. */
export class OpenLines {
  readonly #lines = new Set<OpenLine>();

  /** Until the returned function is called. */
  add(line: OpenLine): () => void {
    this.#lines.add(line);
    return () => this.#lines.delete(line);
  }

  goAway(graceMs: number): void {
    for (const line of [...this.#lines]) line.goAway(graceMs);
  }

  failAll(error: BusError): void {
    for (const line of [...this.#lines]) line.fail(error);
  }
}
