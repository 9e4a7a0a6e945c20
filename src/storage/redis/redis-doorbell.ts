import type { Stop } from "../../core/clock.ts";
import type { Doorbell, Ring } from "../doorbell.ts";
import { createLocalDoorbell } from "../local-doorbell.ts";
import type { StorageLogger } from "../storage-adapter.ts";
import type { Publisher } from "./publisher.ts";

const MISSED = "M";

/**
 * Rings over pub/sub. "L head epoch key" is a log's ring, also published by scripts/append.ts; "R [kind, parent, id]" a
 * record's; "M" asks everybody to look at everything.
 */
export class RedisDoorbell implements Doorbell {
  readonly #publisher: Publisher;
  readonly #channel: string;
  readonly #listeners: Doorbell;
  /** Rings of ours did not get through. */
  #hasDropped = false;

  constructor(publisher: Publisher, channel: string, log: StorageLogger) {
    this.#publisher = publisher;
    this.#channel = channel;
    this.#listeners = createLocalDoorbell(log);
  }

  ring(ring: Ring): void {
    if (!this.#publisher.publish(this.#channel, formatRing(ring))) this.#hasDropped = true;
  }

  listen(listener: (ring: Ring) => void): Stop {
    return this.#listeners.listen(listener);
  }

  /** The connection for publishing is up again, or has room again. */
  publisherIsBack(): void {
    if (this.#hasDropped) this.#hasDropped = !this.#publisher.publish(this.#channel, MISSED);
  }

  /** A message of the channel. */
  heard(message: Buffer): void {
    const ring = parseRing(message.toString("utf8"));
    if (ring !== undefined) this.#listeners.ring(ring);
  }

  /** The listening connection was away. */
  missed(): void {
    this.#listeners.ring({ topic: "missed" });
  }
}

export function formatRing(ring: Ring): string {
  if (ring.topic === "log") return `L ${ring.head} ${ring.epoch} ${ring.key}`;
  if (ring.topic === "missed") return MISSED;
  const { kind, parent, id } = ring.key;
  return `R ${JSON.stringify([kind, parent, id])}`;
}

/** Undefined: not one of ours, or of a newer program. */
export function parseRing(text: string): Ring | undefined {
  if (text === MISSED) return { topic: "missed" };
  const log = /^L (\d+) (\d+) (.+)$/s.exec(text);
  if (log !== null) return { topic: "log", key: log[3]!, head: Number(log[1]), epoch: Number(log[2]) };
  if (!text.startsWith("R ")) return undefined;
  try {
    const parts: unknown = JSON.parse(text.slice(2));
    if (!Array.isArray(parts) || parts.length !== 3 || parts.some((part) => typeof part !== "string")) return undefined;
    const [kind, parent, id] = parts as [string, string, string];
    return { topic: "record", key: { kind, parent, id } };
  } catch {
    return undefined;
  }
}
