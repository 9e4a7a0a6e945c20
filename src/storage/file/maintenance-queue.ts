import type { BusError } from "../../core/errors.ts";
import type { RetentionBounds } from "../retention.ts";
import type { FileLog } from "./file-log.ts";
import type { StorageThread } from "./storage-thread.ts";
import type { WriterCalls } from "./thread-protocol.ts";

/** Logs trimmed in one transaction. */
const MAX_TRIMS = 16;

interface Request {
  readonly log: FileLog;
  readonly bounds?: RetentionBounds;
  done(): void;
  failed(error: BusError): void;
}

/** What frees space: trims, deleted logs, and the blocks that deleted logs left behind. In transactions of its own. */
export class MaintenanceQueue {
  readonly #writer: Pick<StorageThread<WriterCalls>, "call">;
  readonly #purge: number[];
  #trims: Request[] = [];
  #drops: Request[] = [];

  constructor(writer: Pick<StorageThread<WriterCalls>, "call">, purge: readonly number[]) {
    this.#writer = writer;
    this.#purge = [...purge];
  }

  get hasDrops(): boolean {
    return this.#drops.length > 0;
  }

  /** Somebody waits. */
  get hasRequests(): boolean {
    return this.#drops.length + this.#trims.length > 0;
  }

  get isDue(): boolean {
    return this.hasRequests || this.#purge.length > 0;
  }

  trim(log: FileLog, bounds: RetentionBounds): Promise<void> {
    return new Promise((done, failed) => this.#trims.push({ log, bounds, done, failed }));
  }

  drop(log: FileLog): Promise<void> {
    return new Promise((done, failed) => this.#drops.push({ log, done, failed }));
  }

  fail(error: BusError): void {
    for (const request of [...this.#drops.splice(0), ...this.#trims.splice(0)]) request.failed(error);
  }

  /** One transaction. Throws when it failed; whoever waited for it has been told. */
  async run(): Promise<void> {
    const trims = this.#trims.splice(0, MAX_TRIMS);
    const drops = this.#drops.splice(0);
    const purge = this.#purge[0] ?? -1;
    try {
      const reply = await this.#writer.call("maintain", {
        trims: trims.map(({ log, bounds }) => ({ logId: log.id, ...bounds! })),
        drops: drops.map(({ log }) => log.id),
        purge,
      });
      if (reply.purged && purge >= 0) this.#purge.shift();
      for (const { log, done } of drops) {
        this.#purge.push(log.id);
        done();
      }
      for (let i = 0; i < trims.length; i++) {
        const { log, done } = trims[i]!;
        const { floor, freedBytes, more } = reply.trims[i]!;
        log.floor = Math.max(log.floor, floor);
        log.sizeBytes -= freedBytes;
        if (more) this.#trims.push(trims[i]!);
        else done();
      }
    } catch (error) {
      for (const request of [...trims, ...drops]) request.failed(error as BusError);
      throw error;
    }
  }
}
