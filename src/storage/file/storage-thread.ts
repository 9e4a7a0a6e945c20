import { Worker } from "node:worker_threads";
import { BusError } from "../../core/errors.ts";
import type { Failure } from "./sqlite-errors.ts";
import type { ThreadData, ThreadReply, ThreadRequest } from "./thread-protocol.ts";

/** A call that a storage thread could not do. */
export class ThreadFailure extends BusError {
  /** What was asked may have been stored all the same. */
  readonly outcomeUnknown: boolean;

  constructor(failure: Failure) {
    super(failure.reason, failure.message);
    this.outcomeUnknown = failure.outcomeUnknown;
  }
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: ThreadFailure): void;
}

// Built, the thread's file is JavaScript; from source, Node strips the types of it.
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

/** One storage thread, seen from the main thread. */
export class StorageThread<Calls extends { [M in keyof Calls]: (argument: never) => unknown }> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #requests = 0;
  #end: Failure | undefined;
  /** Resolves when the thread has ended and its files are closed, with what to tell those who ask it for more. */
  readonly ended: Promise<ThreadFailure>;

  /** Starts `<name>-thread`. */
  constructor(name: "writer" | "reader", data: ThreadData) {
    this.#worker = new Worker(new URL(`./${name}-thread${EXTENSION}`, import.meta.url), {
      name: `storage-${name}`,
      workerData: data,
      execArgv: [],
    });
    this.#worker.on("message", (reply: ThreadReply) => this.#settle(reply));
    this.#worker.on("error", (error) => this.#fail(`the storage's ${name} thread failed: ${error.message}`));
    this.ended = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        resolve(this.#fail(`the storage's ${name} thread ended (exit code ${code})`));
      });
    });
  }

  /** Rejects with a ThreadFailure. */
  call<M extends keyof Calls & string>(method: M, argument: Parameters<Calls[M]>[0]): Promise<ReturnType<Calls[M]>> {
    if (this.#end !== undefined) return Promise.reject(new ThreadFailure(this.#end));
    const id = ++this.#requests;
    const result = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#worker.postMessage({ id, method, argument } satisfies ThreadRequest);
    return result as Promise<ReturnType<Calls[M]>>;
  }

  /** Ends it at once, at the latest after the SQLite call it is in. Calls that wait are rejected. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    await this.ended;
  }

  #settle(reply: ThreadReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("failure" in reply) waiting?.reject(new ThreadFailure(reply.failure));
    else waiting?.resolve(reply.result);
  }

  #fail(message: string): ThreadFailure {
    this.#end ??= { reason: "STORAGE_UNAVAILABLE", message, outcomeUnknown: true };
    const error = new ThreadFailure(this.#end);
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    return error;
  }
}
