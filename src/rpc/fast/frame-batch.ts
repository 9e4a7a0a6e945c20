import type { FastCall } from "./call.ts";

/** Answers of one turn go out in one write: a commit answers many requests at once. */
export class FrameBatch {
  readonly #call: FastCall;
  readonly #onBlocked: () => void;
  #frames: Uint8Array[] = [];

  /** `onBlocked`: the client does not read its answers; wait for the drain. */
  constructor(call: FastCall, onBlocked: () => void) {
    this.#call = call;
    this.#onBlocked = onBlocked;
  }

  add(frame: Uint8Array): void {
    if (this.#frames.push(frame) > 1) return;
    // Runs when all promises that are settled by now have been heard.
    process.nextTick(() => this.flush());
  }

  /** Writes at once. */
  flush(): void {
    const frames = this.#frames;
    if (frames.length === 0) return;
    this.#frames = [];
    if (!this.#call.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames))) this.#onBlocked();
  }
}
