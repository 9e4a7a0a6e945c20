import { closeSync, ftruncateSync, globSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import type { BackendServer } from "./backend-server.ts";

/** With `appendfsync everysec`, Redis syncs once a second. */
const SYNC_MS = 1_000;
const SAMPLE_MS = 50;
const KEPT_SAMPLES = 200;

/** A time in which acknowledged messages may be lost. */
export interface LossWindow {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * A SIGKILL leaves the page cache alone, so Redis with `everysec` loses nothing by it. This cuts its power: the process is
 * killed, and its append-only file ends where it ended a second before.
 */
export class PowerSwitch {
  readonly #server: BackendServer;
  readonly #samples: { readonly atMs: number; readonly sizes: ReadonlyMap<string, number> }[] = [];
  readonly #timer: NodeJS.Timeout;

  readonly #losses: LossWindow[];

  /** `losses`: takes one for each cut. */
  constructor(server: BackendServer, losses: LossWindow[]) {
    this.#server = server;
    this.#losses = losses;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
  }

  async cut(): Promise<void> {
    const cutAtMs = Date.now();
    await this.#server.end("SIGKILL");
    const synced = this.#samples.findLast((sample) => sample.atMs <= cutAtMs - SYNC_MS);
    if (synced === undefined) return;
    for (const [path, size] of this.#sizes()) truncate(path, Math.min(size, synced.sizes.get(path) ?? 0));
    this.#samples.length = 0;
    // An answer is on its way for a moment, and is written down when it arrives.
    this.#losses.push({ fromMs: synced.atMs - SAMPLE_MS, toMs: Date.now() + SYNC_MS });
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    if (!this.#server.alive) return;
    this.#samples.push({ atMs: Date.now(), sizes: this.#sizes() });
    if (this.#samples.length > KEPT_SAMPLES) this.#samples.shift();
  }

  #sizes(): Map<string, number> {
    const files = globSync(join(this.#server.folder, "appendonlydir", "*.incr.aof"));
    return new Map(files.map((path) => [path, statSync(path).size]));
  }
}

function truncate(path: string, size: number): void {
  const file = openSync(path, "r+");
  ftruncateSync(file, size);
  closeSync(file);
}
