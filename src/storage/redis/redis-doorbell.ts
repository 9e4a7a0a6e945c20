import type { Stop } from "../../core/clock.ts";
import type { Doorbell, LogRing, Ring } from "../doorbell.ts";
import { createLocalDoorbell } from "../local-doorbell.ts";
import type { StorageLogger } from "../storage-adapter.ts";
import type { Publisher } from "./publisher.ts";

const MISSED = "M";

/**
 * Rings over pub/sub. "L head epoch key" is a log's ring; those that the appending scripts publish have the commit behind
 * the key. "R [kind, parent, id]" is a record's; "M" asks everybody to look at everything.
 */
export class RedisDoorbell implements Doorbell {
  readonly #publisher: Publisher;
  readonly #channel: string;
  readonly #listeners: Doorbell;
  /** Of whom a commit is, as its name begins. */
  readonly #ownCommits: string;
  /** Rings of ours did not get through. */
  #hasDropped = false;
  #isAlone = false;

  constructor(publisher: Publisher, channel: string, node: string, log: StorageLogger) {
    this.#publisher = publisher;
    this.#channel = channel;
    this.#ownCommits = `${node}.`;
    this.#listeners = createLocalDoorbell(log);
  }

  ring(ring: Ring): void {
    if (!this.#publisher.publish(this.#channel, formatRing(ring))) this.#hasDropped = true;
  }

  listen(listener: (ring: Ring) => void): Stop {
    return this.#listeners.listen(listener);
  }

  /** Where the appending scripts publish; "": nobody listens. */
  get logChannel(): string {
    return this.#isAlone ? "" : this.#channel;
  }

  /**
   * Rings this node's listeners for what it has stored; behind the one who waits for the append, who hands them the
   * messages: told first, they would read from the server what they are about to get.
   */
  stored(ring: LogRing): void {
    setImmediate(() => this.#listeners.ring(ring));
  }

  expectOthers(present: boolean): void {
    this.#isAlone = !present;
  }

  /** The connection for publishing is up again, or has room again. */
  publisherIsBack(): void {
    if (this.#hasDropped) this.#hasDropped = !this.#publisher.publish(this.#channel, MISSED);
  }

  /** A message of the channel. */
  heard(message: Buffer): void {
    const heard = parseRing(message.toString("utf8"));
    // What this node has stored comes by `stored`.
    if (heard !== undefined && !heard.commit.startsWith(this.#ownCommits)) this.#listeners.ring(heard.ring);
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

export interface HeardRing {
  readonly ring: Ring;
  /** "": of no commit. */
  readonly commit: string;
}

/** Undefined: not one of ours, or of a newer program. */
export function parseRing(text: string): HeardRing | undefined {
  if (text === MISSED) return { ring: { topic: "missed" }, commit: "" };
  const log = /^L (\d+) (\d+) (\S+)(?: (\S+))?$/.exec(text);
  if (log !== null) {
    const [, head, epoch, key, commit = ""] = log as unknown as [string, string, string, string, string?];
    return { ring: { topic: "log", key, head: Number(head), epoch: Number(epoch) }, commit };
  }
  if (!text.startsWith("R ")) return undefined;
  try {
    const parts: unknown = JSON.parse(text.slice(2));
    if (!Array.isArray(parts) || parts.length !== 3 || parts.some((part) => typeof part !== "string")) return undefined;
    const [kind, parent, id] = parts as [string, string, string];
    return { ring: { topic: "record", key: { kind, parent, id } }, commit: "" };
  } catch {
    return undefined;
  }
}
