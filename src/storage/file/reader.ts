import { BusError } from "../../core/errors.ts";
import { StorageThread } from "./storage-thread.ts";
import type { ReaderCalls, ThreadData } from "./thread-protocol.ts";

/** The reading thread; another one takes its place when it has ended. */
export class Reader {
  readonly #data: ThreadData;
  #thread: StorageThread<ReaderCalls> | undefined;
  #isClosed = false;

  constructor(data: ThreadData) {
    this.#data = data;
  }

  call<M extends keyof ReaderCalls>(
    method: M,
    argument: Parameters<ReaderCalls[M]>[0],
  ): Promise<ReturnType<ReaderCalls[M]>> {
    if (this.#isClosed) return Promise.reject(new BusError("STORAGE_UNAVAILABLE", "the storage is closed"));
    let thread = this.#thread;
    if (thread === undefined) {
      const started = new StorageThread<ReaderCalls>("reader", this.#data);
      void started.ended.then(() => {
        if (this.#thread === started) this.#thread = undefined;
      });
      this.#thread = started;
      thread = started;
    }
    return thread.call(method, argument);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const thread = this.#thread;
    if (thread === undefined) return;
    await thread.call("close", null).catch(() => {});
    await thread.ended;
  }
}
