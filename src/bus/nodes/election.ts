import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { Directory } from "../../storage/directory.ts";
import { electionKey } from "../directory/record-keys.ts";
import { RENEWALS_A_LEASE } from "./node-lease.ts";

/** Our own write whose answer was lost is found by the second attempt, an ended lease by the third. */
const MAX_ATTEMPTS = 3;

export interface ElectionOptions {
  readonly directory: Directory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  /** What the elected node does, for example "sweeper". */
  readonly name: string;
  /** Who stands for election: this node's instance. */
  readonly candidate: () => string;
}

/**
 * One node of all that does something: whoever has the lease of that name. It passes to another node one lease after
 * its holder stopped to renew it. The holder itself stops sooner: it counts from before it asked.
 */
export class Election {
  readonly #options: ElectionOptions;
  #version = 0;
  #heldUntil = 0;
  #running: Promise<void> | undefined;
  #stop: Stop | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
  }

  /** Asked before each step of the work, which ends as soon as the answer is false. */
  get held(): boolean {
    return this.#options.clock.monotonic() < this.#heldUntil;
  }

  /** Stands for election from now on. Never fails. */
  async start(): Promise<void> {
    const { clock, leaseMs } = this.#options;
    this.#stop = clock.every(leaseMs / RENEWALS_A_LEASE, () => void this.campaign());
    await this.campaign();
  }

  /** Takes the lease when it is free, renews it when it is ours. Never fails. */
  campaign(): Promise<void> {
    this.#running ??= this.#campaign().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Leaves the lease to others at once. Never fails. */
  async leave(): Promise<void> {
    const { directory, name, log } = this.#options;
    this.#stop?.();
    await this.#running;
    const version = this.#version;
    this.#lose();
    if (version === 0) return;
    try {
      await directory.delete(electionKey(name), version);
    } catch (error) {
      log.warn({ err: error }, `the lease of the ${name} could not be left; it expires by itself`);
    }
  }

  async #campaign(): Promise<void> {
    const { directory, clock, log, leaseMs, name, candidate } = this.#options;
    try {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const asked = clock.monotonic();
        const instance = candidate();
        const outcome = await directory.put(
          electionKey(name),
          { instance },
          { expectedVersion: this.#version, timeToLiveMs: leaseMs },
        );
        if (outcome.kind === "stored") {
          if (this.#version === 0) log.info({ instance }, `this node is the ${name}`);
          this.#version = outcome.version;
          this.#heldUntil = asked + leaseMs;
          return;
        }
        const holder = outcome.kind === "conflict" ? outcome.current : undefined;
        this.#lose();
        if (holder === undefined) continue;
        if ((holder.value as { instance: string }).instance !== instance) return;
        this.#version = holder.version;
      }
    } catch (error) {
      // Held on to until it ends by itself.
      log.debug({ err: error }, `the lease of the ${name} could not be asked for`);
    }
  }

  #lose(): void {
    this.#version = 0;
    this.#heldUntil = 0;
  }
}
