import type { Audience } from "../../src/core/message.ts";
import { type History, parsePlace } from "../support/history.ts";
import type { Batch } from "./batches.ts";
import { outcomeOf } from "./outcome.ts";

/** What an acknowledgement says of one message. */
export interface Answer {
  readonly position: string;
  readonly duplicate: boolean;
  /** Undefined: it does not say. */
  readonly audience?: Audience;
}

/** Writes down one attempt to send a batch, and then what became of it. */
export class Attempt {
  readonly #history: History;
  readonly #names: readonly string[];

  constructor(history: History, batch: Batch) {
    const { channel, audience, producer, agent } = batch;
    this.#history = history;
    this.#names = batch.messages.map(({ id, digest, label, order }) => {
      const attempt = history.name("attempt");
      const about = { attempt, producer, sender: agent, channel, id, digest, label, order };
      history.record({ kind: "attempted", ...about, ...(audience !== undefined && { audience }) });
      return attempt;
    });
  }

  acked(answers: readonly Answer[]): void {
    if (answers.length !== this.#names.length) {
      throw new Error(`${this.#names.length} messages were answered with ${answers.length} results`);
    }
    answers.forEach(({ position, duplicate, audience }, i) => {
      const place = parsePlace(position);
      const told = audience !== undefined && { audience };
      this.#history.record({ kind: "acked", attempt: this.#names[i]!, place, duplicate, ...told });
    });
  }

  /** Throws for what no fault explains. */
  failed(error: unknown): void {
    const kind = outcomeOf(error) === "unknown" ? "unknown" : "failed";
    for (const attempt of this.#names) this.#history.record({ kind, attempt });
  }
}
