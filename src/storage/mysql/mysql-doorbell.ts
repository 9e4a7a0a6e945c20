import { randomBytes } from "node:crypto";
import type { Stop } from "../../core/clock.ts";
import type { Doorbell, LogRing, Ring } from "../doorbell.ts";
import { createLocalDoorbell } from "../local-doorbell.ts";
import type { SeenEnds } from "../seen-ends.ts";
import type { StorageLogger } from "../storage-adapter.ts";
import { rowsOf } from "./connection.ts";
import type { ConnectionPool } from "./connection-pool.ts";
import { RingFeed } from "./ring-feed.ts";
import { insertRings, ringIdentity } from "./ring-rows.ts";
import type { Tables } from "./schema.ts";
import type { StoreClock } from "./store-clock.ts";

/** Looks follow each other so slowly when there was no news for a while, each so much later than the one before. */
const MAX_WAIT_MS = 500;
const GROWTH = 1.5;
/** And so much sooner after each that had news. */
const HASTE = 0.5;
/** Where this node does something, another one's answer may be near. */
const ATTENTIVE_WAIT_MS = 20;
/** Other things than these that may wait to be rung; beyond, everybody is told to look at everything. */
const MAX_PENDING = 10_000;
const RINGS_PER_STATEMENT = 500;
/** Rings are kept longer than this: who has looked since has passed over none. */
const MAX_ABSENCE_MS = 30_000;

export interface DoorbellParts {
  readonly pool: ConnectionPool;
  readonly tables: Tables;
  readonly clock: StoreClock;
  /** Told of every log's ring. */
  readonly seen: SeenEnds;
  readonly log: StorageLogger;
  /** Looks follow each other no faster than this. */
  readonly minWaitMs: number;
}

/**
 * MySQL cannot call anybody, so the doorbell looks: into a table of rings, while somebody listens, up to every few
 * milliseconds while each look has news, and every 500 ms when there is none. This node's listeners are told without a
 * look. Rings of logs are written by the transaction that stores, others here.
 */
export class MysqlDoorbell implements Doorbell {
  readonly #parts: DoorbellParts;
  readonly #local: Doorbell;
  readonly #feed: RingFeed;
  /** Rings of this node are told here already when they come back from the table. */
  readonly #source = randomBytes(8).toString("hex");
  readonly #pending = new Map<string, Ring>();
  #flushing: Promise<void> | undefined;
  #listeners = 0;
  #timer: NodeJS.Timeout | undefined;
  #waitMs = ATTENTIVE_WAIT_MS;
  #isLooking = false;
  #lookedAtMs = performance.now();
  /** A look failed: what was rung meanwhile may be gone when the next one succeeds. */
  #wasDeaf = false;
  #isAlone = false;
  #isClosed = false;

  constructor(parts: DoorbellParts) {
    this.#parts = parts;
    this.#local = createLocalDoorbell(parts.log);
    this.#local.listen((ring) => {
      if (ring.topic === "log") parts.seen.note(ring.key, ring);
    });
    this.#feed = new RingFeed(parts.tables, parts.clock);
    parts.pool.onRecovered(() => {
      this.#wasDeaf = true;
      this.#quicken();
      this.#flushSoon();
    });
  }

  /** Everything that is rung from now on is heard. */
  async start(): Promise<void> {
    const { pool, tables, clock } = this.#parts;
    await pool.use(async (session) => {
      const [answer] = await session.send([`SELECT COALESCE(MAX(id), 0), ${clock.sql} FROM ${tables.ring}`]);
      const [newestId, serverMs] = rowsOf<[number, number]>(answer)[0]!;
      clock.observe(serverMs);
      this.#feed.start(newestId);
      this.#lookedAtMs = performance.now();
    });
  }

  ring(ring: Ring): void {
    if (this.#isClosed) return;
    this.#local.ring(ring);
    this.#pending.set(ringIdentity(ring), ring);
    if (this.#pending.size > MAX_PENDING) {
      this.#pending.clear();
      this.#pending.set("missed", { topic: "missed" });
    }
    this.#quicken();
    this.#flushSoon();
  }

  /** The statements by which a transaction rings for what it stores. */
  insert(ring: LogRing): readonly string[] {
    return this.#isAlone ? [] : [insertRings(this.#parts.tables, this.#source, this.#parts.clock.sql, [ring])];
  }

  /**
   * Rings this node's listeners for what a transaction has stored; behind the one who waits for the append, who hands them
   * the messages: told first, they would read from the server what they are about to get.
   */
  stored(ring: LogRing): void {
    setImmediate(() => this.#local.ring(ring));
    if (!this.#isAlone) this.#quicken();
  }

  expectOthers(present: boolean): void {
    this.#isAlone = !present;
  }

  listen(listener: (ring: Ring) => void): Stop {
    const stop = this.#local.listen(listener);
    let isListening = true;
    this.#listeners++;
    this.#quicken();
    return () => {
      stop();
      if (isListening) this.#listeners--;
      isListening = false;
    };
  }

  /** What was rung is sent, when the server is there. */
  async close(): Promise<void> {
    await this.#flushing;
    if (this.#pending.size > 0) await this.#flush();
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Where something happens, more is going to. */
  #quicken(): void {
    const attentiveMs = Math.max(ATTENTIVE_WAIT_MS, this.#parts.minWaitMs);
    if (this.#timer !== undefined && this.#waitMs <= attentiveMs) return;
    this.#waitMs = Math.min(this.#waitMs, attentiveMs);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isClosed || this.#listeners === 0 || this.#isLooking) return;
    this.#waitMs = Math.max(this.#waitMs, this.#parts.minWaitMs);
    this.#timer = setTimeout(() => void this.#look(), this.#waitMs);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#isLooking = true;
    const { pool } = this.#parts;
    let hasNews = false;
    try {
      const answers = await pool.use((session) => session.send(this.#feed.statements()));
      const nowMs = performance.now();
      const isLate = this.#wasDeaf || nowMs - this.#lookedAtMs > MAX_ABSENCE_MS;
      this.#lookedAtMs = nowMs;
      this.#wasDeaf = false;
      const { rows, missed } = this.#feed.take(answers, nowMs);
      for (const { source, ring } of rows) {
        if (source === this.#source || ring === undefined) continue;
        hasNews = true;
        this.#local.ring(ring);
      }
      if (missed || isLate) this.#local.ring({ topic: "missed" });
    } catch {
      // The pool says what is wrong; the next look is only to notice that it is over.
      this.#wasDeaf = true;
    }
    this.#isLooking = false;
    this.#waitMs = Math.min(this.#waitMs * (hasNews ? HASTE : GROWTH), MAX_WAIT_MS);
    this.#schedule();
  }

  #flushSoon(): void {
    if (this.#flushing !== undefined || this.#pending.size === 0) return;
    // At the end of this turn: what is rung in the same turn goes along.
    this.#flushing = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#flush())
      .then((isSent) => {
        this.#flushing = undefined;
        if (isSent) this.#flushSoon();
      });
  }

  /** False: the server is away; what waits is sent when it is back. */
  async #flush(): Promise<boolean> {
    const { pool, tables, clock } = this.#parts;
    while (this.#pending.size > 0) {
      const sent = [...this.#pending].slice(0, RINGS_PER_STATEMENT);
      for (const [identity] of sent) this.#pending.delete(identity);
      const rings = sent.map(([, ring]) => ring);
      try {
        await pool.use((session) => session.send([insertRings(tables, this.#source, clock.sql, rings)]));
      } catch {
        for (const [identity, ring] of sent) if (!this.#pending.has(identity)) this.#pending.set(identity, ring);
        return false;
      }
    }
    return true;
  }
}
