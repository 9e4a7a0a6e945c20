import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { coresBusy, machineSample } from "./cpu.ts";

/** More than this in use by other programs makes a measurement doubtful. */
const QUIET_CORES = 0.2;
const LOOK_MS = 500;

/** Waits for quiet moments of a shared machine, until its time is used up. */
export class Patience {
  #leftMs: number;

  constructor(seconds: number) {
    this.#leftMs = seconds * 1_000;
  }

  /**
   * Measures when nobody else uses the machine, and again when somebody did meanwhile. The quietest measurement counts,
   * whatever it says.
   */
  async measure<T extends { readonly otherCores: number }>(once: () => Promise<T>): Promise<T> {
    let best: T | undefined;
    for (;;) {
      await this.#quiet();
      const startedAt = performance.now();
      const measured = await once();
      if (best === undefined || measured.otherCores < best.otherCores) best = measured;
      if (best.otherCores <= QUIET_CORES || this.#leftMs <= 0) return best;
      this.#leftMs -= performance.now() - startedAt;
    }
  }

  async #quiet(): Promise<void> {
    while (this.#leftMs > 0) {
      const from = machineSample();
      await delay(LOOK_MS);
      if (coresBusy(from, machineSample(), availableParallelism()) <= QUIET_CORES) return;
      this.#leftMs -= LOOK_MS;
    }
  }
}
