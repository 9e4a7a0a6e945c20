import type { Draft } from "../../core/message.ts";
import { MESSAGE_TYPES, type MessageType } from "../../core/message.ts";
import type { Counter, Histogram, Meters } from "../../core/meters.ts";

const STAGES = ["validate", "route", "append", "deliver"] as const;

/** What is measured of publishing. */
export class PublishMeters {
  readonly stages: Readonly<Record<(typeof STAGES)[number], Histogram>>;
  readonly duration: Histogram;
  readonly duplicates: Counter;
  readonly #published: Readonly<Record<MessageType, Counter>>;
  readonly #events: Counter;
  readonly #meters: Meters;

  constructor(meters: Meters, pending: () => number) {
    this.#meters = meters;
    const stage = (name: string) =>
      meters.histogram("stage_duration_seconds", "Time of one batch in one stage of publishing.", { stage: name });
    this.stages = Object.fromEntries(STAGES.map((name) => [name, stage(name)])) as typeof this.stages;
    this.duration = meters.histogram("publish_duration_seconds", "Time of one batch from its request to its answer.");
    this.#published = Object.fromEntries(
      MESSAGE_TYPES.map((type) => [
        type,
        meters.counter("messages_published_total", "Messages stored.", { type: type.toLowerCase() }),
      ]),
    ) as Record<MessageType, Counter>;
    this.#events = meters.counter("events_published_total", "Messages of type EVENT stored.");
    this.duplicates = meters.counter("messages_duplicate_total", "Messages that were stored before, by their key.");
    meters.gauge("publishes_pending", "Batches that wait for the storage.", pending);
  }

  /** Messages stored since the start. */
  get publishedCount(): number {
    return MESSAGE_TYPES.reduce((sum, type) => sum + this.#published[type].value, 0);
  }

  stored({ type }: Draft): void {
    this.#published[type].add(1);
    if (type === "EVENT") this.#events.add(1);
  }

  failed(reason: string): void {
    this.#meters.counter("publish_failures_total", "Batches refused or failed.", { reason }).add(1);
  }
}
