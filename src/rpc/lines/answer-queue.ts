/** Answers of one stream, sent in the order of its requests however their work ends. */
export class AnswerQueue {
  readonly #send: (answer: Uint8Array) => void;
  readonly #slots: { answer: Uint8Array | undefined }[] = [];

  constructor(send: (answer: Uint8Array) => void) {
    this.#send = send;
  }

  /** Requests that are not answered yet. */
  get size(): number {
    return this.#slots.length;
  }

  /** Takes the next place in the order. Call the result once, with the answer. */
  reserve(): (answer: Uint8Array) => void {
    const slot: { answer: Uint8Array | undefined } = { answer: undefined };
    this.#slots.push(slot);
    return (answer) => {
      slot.answer = answer;
      while (this.#slots.length > 0 && this.#slots[0]!.answer !== undefined) this.#send(this.#slots.shift()!.answer!);
    };
  }
}
