import type { Clock, Stop } from "../../core/clock.ts";
import { BusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Directory } from "../../storage/directory.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import { nodeKey } from "../directory/record-keys.ts";
import type { NodeRecord } from "./node-records.ts";

/** A lease is renewed this often while it runs: two renewals may fail before it ends. */
export const RENEWALS_A_LEASE = 3;
/** Renewed again so soon after a failure, for as long as the storage is away. */
const RETRY_MS = 1_000;
/** How soon others hear that this node serves or drains. */
const WATCH_MS = 1_000;
const MAX_ATTEMPTS = 5;

export interface NodeLeaseOptions {
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  /** Random, another one for each start of the process. */
  readonly startId: string;
  /** What the record says now. */
  readonly describe: () => Omit<NodeRecord, "left">;
  /** There is a record again, of a new instance: nothing that was written for the one before counts. */
  readonly onInstance: () => void;
}

/**
 * This node's record, which lives as long as the node renews it. Whatever the node writes for others (who is present on
 * it, which exclusive streams it has) names its instance and counts as long as the instance has its record.
 *
 * A node that could not renew for a whole lease (stopped, cut off) is dead to the others, and comes back as another
 * instance: what the old one left is then never mistaken for what is true now.
 */
export class NodeLease {
  readonly #options: NodeLeaseOptions;
  #lives = 1;
  #version = 0;
  /** The record of the present instance was stored at least once. */
  #stored = false;
  #servingTold = false;
  #failing = false;
  #left = false;
  #renewing: Promise<void> | undefined;
  #again = false;
  #stopTimer: Stop | undefined;
  #stopWatch: Stop | undefined;

  constructor(options: NodeLeaseOptions) {
    this.#options = options;
  }

  get instance(): string {
    return `${this.#options.startId}.${this.#lives}`;
  }

  /** Whether this process is or was that instance. */
  isOwn(instance: string): boolean {
    return instance.startsWith(`${this.#options.startId}.`);
  }

  /** Makes the record, and keeps it from then on. Throws STORAGE_UNAVAILABLE. */
  async join(): Promise<void> {
    const { clock, describe } = this.#options;
    await this.#put(false);
    this.#schedule(this.#intervalMs);
    this.#stopWatch = clock.every(WATCH_MS, () => {
      if (describe().serving !== this.#servingTold) this.renew();
    });
  }

  /** Writes the record anew, now. Never fails. */
  renew(): void {
    if (this.#left) return;
    if (this.#renewing !== undefined) {
      this.#again = true;
      return;
    }
    this.#renewing = this.#renew().finally(() => {
      this.#renewing = undefined;
    });
  }

  /**
   * Removes the record; with `lingering` it stays for one more lease, marked as left, and what was written for the
   * instance counts as long. Never fails.
   */
  async leave(lingering: boolean): Promise<void> {
    const { directory, doorbell, log } = this.#options;
    this.close();
    await this.#renewing;
    if (!this.#stored) return;
    try {
      if (lingering) await this.#put(true);
      else await directory.delete(nodeKey(this.instance));
      doorbell.ring({ topic: "record", key: nodeKey(this.instance) });
    } catch (error) {
      log.warn({ err: error }, "the node's record could not be removed; it expires by itself");
    }
  }

  /** Stops to renew it, and leaves it to expire. */
  close(): void {
    this.#left = true;
    this.#stopTimer?.();
    this.#stopWatch?.();
  }

  get #intervalMs(): number {
    return this.#options.leaseMs / RENEWALS_A_LEASE;
  }

  #schedule(ms: number): void {
    this.#stopTimer?.();
    this.#stopTimer = this.#options.clock.after(ms, () => this.renew());
  }

  async #renew(): Promise<void> {
    const { log } = this.#options;
    let nextMs = this.#intervalMs;
    this.#again = false;
    try {
      await this.#put(false);
      this.#failing = false;
    } catch (error) {
      nextMs = Math.min(RETRY_MS, nextMs);
      if (!this.#failing) log.warn({ err: error }, "the node's lease could not be renewed; it is tried every second");
      this.#failing = true;
    }
    if (!this.#left) this.#schedule(this.#again ? 0 : nextMs);
  }

  async #put(left: boolean): Promise<void> {
    const { directory, doorbell, describe, leaseMs, log, onInstance } = this.#options;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const record: NodeRecord = { ...describe(), left };
      const key = nodeKey(this.instance);
      const outcome = await directory.put(key, record, {
        expectedVersion: this.#version,
        timeToLiveMs: leaseMs,
      });
      if (outcome.kind === "stored") {
        this.#version = outcome.version;
        const rings = !this.#stored || record.serving !== this.#servingTold;
        this.#servingTold = record.serving;
        if (rings) doorbell.ring({ topic: "record", key });
        if (!this.#stored && this.#lives > 1) onInstance();
        this.#stored = true;
        return;
      }
      const current = outcome.kind === "conflict" ? outcome.current : undefined;
      if (current !== undefined) {
        // Nobody else writes it: this is an earlier write of ours whose answer was lost.
        this.#version = current.version;
        continue;
      }
      log.warn(
        { instance: this.instance },
        "this node's lease had ended: others saw its agents offline; it joins anew",
      );
      this.#lives++;
      this.#version = 0;
      this.#stored = false;
      if (left) return;
    }
    throw new BusError("CONCURRENT_UPDATE", "the node's record could not be written: others change it");
  }
}
