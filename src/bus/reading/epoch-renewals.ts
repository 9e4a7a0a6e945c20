import type { Clock } from "../../core/clock.ts";
import type { LogState } from "../../storage/message-log.ts";
import type { ChannelView } from "../directory/registry.ts";

/** A log's epoch is renewed by this node at most this often; so many logs are remembered. */
const RENEWAL_MS = 60_000;
const MAX_RENEWALS = 10_000;

/**
 * Gives a log that seems to be rolled back a new epoch, once in a while. A position that was never issued may be forged,
 * and an old answer may come from a replica that lags: neither may fill the chain. A log that is really rolled back gets
 * its new epoch from the storage, too, before it issues a sequence.
 */
export class EpochRenewals {
  readonly #clock: Clock;
  readonly #renewedMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The log under its new epoch. Undefined: it was renewed a short time ago. Throws STORAGE_UNAVAILABLE, CHANNEL_DELETED. */
  async renew(view: ChannelView): Promise<LogState | undefined> {
    const { key } = view.name;
    const nowMs = this.#clock.monotonic();
    const renewedMs = this.#renewedMs.get(key);
    if (renewedMs !== undefined && nowMs - renewedMs < RENEWAL_MS) return undefined;
    // Set again, so that the first of the map is the one renewed longest ago.
    this.#renewedMs.delete(key);
    if (this.#renewedMs.size >= MAX_RENEWALS) this.#renewedMs.delete(this.#renewedMs.keys().next().value!);
    this.#renewedMs.set(key, nowMs);
    try {
      return await view.log.renewEpoch(view.name);
    } catch (error) {
      if (this.#renewedMs.get(key) === nowMs) this.#renewedMs.delete(key);
      throw error;
    }
  }
}
