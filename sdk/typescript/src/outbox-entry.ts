import { BusError } from "./errors.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Receipt } from "./receipt.ts";

/** A message that somebody waits to hear of. */
export class OutboxEntry {
  readonly outgoing: Outgoing;
  /** When to give up, by Date.now(); Infinity: never. */
  readonly deadline: number;
  readonly #resolve: (receipt: Receipt) => void;
  readonly #reject: (error: unknown) => void;
  readonly #release: () => void;
  #settled = false;

  constructor(
    outgoing: Outgoing,
    deadline: number,
    settle: { resolve: (receipt: Receipt) => void; reject: (error: unknown) => void; release: () => void },
  ) {
    this.outgoing = outgoing;
    this.deadline = deadline;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
    this.#release = settle.release;
  }

  /** True: nobody waits any more. It is not sent again. */
  get settled(): boolean {
    return this.#settled;
  }

  resolve(receipt: Receipt): void {
    if (!this.#settle()) return;
    this.#resolve(receipt);
  }

  reject(error: unknown): void {
    if (!this.#settle()) return;
    this.#reject(error);
  }

  /** Its deadline passed. */
  expire(): void {
    const { message, destination } = this.outgoing;
    const text = `message ${message.id} to ${destination} was not acknowledged in time; it may be stored: send it again only under the same id`;
    this.reject(new BusError({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE", message: text }));
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#release();
    return true;
  }
}
