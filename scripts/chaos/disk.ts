import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

const BLOCK = Buffer.alloc(1 << 20);

/** A disk that can be filled up to the last byte, and freed again. */
export class Disk {
  readonly #ballast: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#ballast = join(folder, "ballast");
  }

  fill(): void {
    const file = openSync(this.#ballast, "w");
    try {
      for (;;) writeSync(file, BLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.#ballast, { force: true });
  }

  /** MiB that are left. */
  get freeMiB(): number {
    const { bavail, bsize } = statfsSync(this.#folder);
    return Math.floor((bavail * bsize) / (1 << 20));
  }
}
