import type { Stop } from "../../core/clock.ts";
import type { Doorbell, LogRing, Ring } from "../doorbell.ts";
import { createLocalDoorbell } from "../local-doorbell.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { textArray } from "./binary-array.ts";
import { CARELESS } from "./session.ts";
import type { SignalHandler, SignalLine } from "./signal-line.ts";

/** PostgreSQL takes less than 8,000 bytes in one notification. */
export const MAX_PAYLOAD_BYTES = 7_900;
/** Rings that wait; beyond, everybody is told to look at everything. */
const MAX_PENDING = 10_000;
/** Notifications of one statement. */
const MAX_PAYLOADS = 32;
const NOTIFY = {
  name: "notify",
  text: `SELECT ${CARELESS}, pg_notify($1, payload) FROM unnest($2::text[]) AS payload`,
};

/**
 * Rings its own listeners at once and those of other nodes by NOTIFY: outside of every other transaction, one statement in
 * flight, and what is rung meanwhile is merged into the next. A payload is the sender, then a ring a line.
 */
export class PostgresDoorbell implements Doorbell, SignalHandler {
  readonly #line: SignalLine;
  readonly #channel: string;
  readonly #sender: string;
  readonly #local: Doorbell;
  /** By what is rung: a log's newest ring takes the place of its last. */
  readonly #pending = new Map<string, string>();
  #isScheduled = false;
  #isSending = false;
  #isAlone = false;

  constructor(line: SignalLine, channel: string, sender: string, environment: StorageEnvironment) {
    this.#line = line;
    this.#channel = channel;
    this.#sender = sender;
    this.#local = createLocalDoorbell(environment.log);
    line.handle(channel, this);
  }

  ring(ring: Ring): void {
    this.#local.ring(ring);
    this.#ringOthers(ring);
  }

  /**
   * Rings for what this node has stored. Its own listeners hear it behind the one who waits for the append, who hands them
   * the messages: told first, they would read from the server what they are about to get.
   */
  stored(ring: LogRing): void {
    setImmediate(() => this.#local.ring(ring));
    if (!this.#isAlone) this.#ringOthers(ring);
  }

  expectOthers(present: boolean): void {
    this.#isAlone = !present;
  }

  listen(listener: (ring: Ring) => void): Stop {
    return this.#local.listen(listener);
  }

  notified(payload: string): void {
    const [sender, ...lines] = payload.split("\n");
    if (sender === this.#sender) return;
    for (const line of lines) {
      const ring = toRing(line);
      if (ring !== undefined) this.#local.ring(ring);
    }
  }

  restored(): void {
    this.#local.ring({ topic: "missed" });
    this.#schedule();
  }

  #ringOthers(ring: Ring): void {
    const line = toLine(ring);
    if (this.#pending.size >= MAX_PENDING) {
      this.#pending.clear();
      this.#pending.set("missed", toLine({ topic: "missed" }));
    }
    this.#pending.set(ring.topic === "log" ? `log ${ring.key}` : line, line);
    this.#schedule();
  }

  /** At the end of this turn of the event loop, so that what comes in the same turn goes along. */
  #schedule(): void {
    if (this.#isScheduled || this.#isSending || this.#pending.size === 0 || !this.#line.isUp) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      void this.#send();
    });
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    try {
      await this.#line.query(NOTIFY, [this.#channel, textArray(this.#take())]);
    } catch {
      // Who listens looks by itself; and what the others may have missed is said as soon as it can be.
      this.#pending.set("missed", toLine({ topic: "missed" }));
    }
    this.#isSending = false;
    this.#schedule();
  }

  #take(): string[] {
    const payloads: string[] = [];
    let payload = this.#sender;
    let bytes = payload.length;
    for (const [what, line] of this.#pending) {
      const added = 1 + Buffer.byteLength(line);
      if (bytes + added > MAX_PAYLOAD_BYTES) {
        payloads.push(payload);
        if (payloads.length === MAX_PAYLOADS) return payloads;
        payload = this.#sender;
        bytes = payload.length;
      }
      payload += `\n${line}`;
      bytes += added;
      this.#pending.delete(what);
    }
    if (bytes > this.#sender.length) payloads.push(payload);
    return payloads;
  }
}

/** JSON has no line feeds. */
function toLine(ring: Ring): string {
  if (ring.topic === "log") return JSON.stringify([ring.key, ring.head, ring.epoch]);
  if (ring.topic === "record") return JSON.stringify([ring.key.kind, ring.key.parent, ring.key.id]);
  return "[]";
}

/** Undefined: another version of this program wrote it. */
function toRing(line: string): Ring | undefined {
  let parts: unknown;
  try {
    parts = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parts)) return undefined;
  const [first, second, third] = parts as unknown[];
  if (parts.length === 0) return { topic: "missed" };
  if (typeof first !== "string") return undefined;
  if (typeof second === "number" && typeof third === "number") {
    return { topic: "log", key: first, head: second, epoch: third };
  }
  if (typeof second !== "string" || typeof third !== "string") return undefined;
  return { topic: "record", key: { kind: first, parent: second, id: third } };
}
