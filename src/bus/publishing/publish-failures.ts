import type { BusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { RateLimiter } from "./rate-limiter.ts";

/** Lines for failures that have nothing to do with each other: a client that fails all the time must not fill the disk. */
const LINES_PER_SECOND = 1;
const LINES_AT_ONCE = 20;
/** What an outage of the storage lets fail is counted in one line so often, in milliseconds. */
const REMIND_MS = 60_000;
/** A storage that takes some and refuses others is still away; so long without a refusal it is back, in milliseconds. */
const QUIET_MS = 5_000;

interface Outage {
  readonly beganMs: number;
  failures: number;
  lastMs: number;
  toldMs: number;
}

/** Tells the log of publishes that fail: an outage of the storage by its beginning, a count each minute, and its end. */
export class PublishFailures {
  readonly #log: Logger;
  readonly #lines = new RateLimiter("log", LINES_PER_SECOND, LINES_AT_ONCE);
  #unlogged = 0;
  #outage: Outage | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** At `nowMs` on the monotonic clock. */
  failed(agent: string, failure: BusError, nowMs: number): void {
    const { reason, message } = failure;
    // What waits for a storage that is away fills the node.
    if (reason === "STORAGE_UNAVAILABLE" || (reason === "OVERLOADED" && this.#outage !== undefined)) {
      this.#refused(agent, failure, nowMs);
      return;
    }
    if (!this.#lines.allows("", 1, nowMs)) {
      this.#unlogged++;
      return;
    }
    // The stack of a bug says where it is; that of a refusal helps nobody.
    const error = reason === "INTERNAL" ? failure.details.cause : undefined;
    const unlogged = this.#unlogged === 0 ? {} : { unlogged: this.#unlogged };
    this.#unlogged = 0;
    this.#log.error({ agent, reason, error, ...unlogged }, `Failed to send message: ${message}`);
  }

  /** One was stored, at `nowMs`. Asked for each publish: costs nothing while the storage is well. */
  stored(nowMs: number): void {
    const outage = this.#outage;
    if (outage === undefined || nowMs - outage.lastMs < QUIET_MS) return;
    this.#outage = undefined;
    const { failures, beganMs, lastMs } = outage;
    this.#log.info({ failures, seconds: seconds(lastMs - beganMs) }, "messages are stored again");
  }

  #refused(agent: string, { reason, message }: BusError, nowMs: number): void {
    const outage = this.#outage;
    if (outage === undefined) {
      this.#outage = { beganMs: nowMs, failures: 1, lastMs: nowMs, toldMs: nowMs };
      this.#log.error({ agent, reason }, `Failed to send message: ${message}`);
      return;
    }
    outage.failures++;
    outage.lastMs = nowMs;
    if (nowMs - outage.toldMs < REMIND_MS) return;
    outage.toldMs = nowMs;
    const { failures, beganMs } = outage;
    this.#log.error(
      { agent, reason, failures, seconds: seconds(nowMs - beganMs) },
      `Still failing to send messages: ${message}`,
    );
  }
}

function seconds(ms: number): number {
  return Math.round(ms / 1_000);
}
