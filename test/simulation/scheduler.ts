import type { Stop } from "../../src/core/clock.ts";

/** Whose events they are: a node that is paused gets none, and all of them later; one that is gone never. */
export class Party {
  readonly name: string;
  state: "running" | "paused" | "gone" = "running";
  readonly stash: Event[] = [];

  constructor(name: string) {
    this.name = name;
  }
}

interface Event {
  at: number;
  readonly order: number;
  readonly party: Party | undefined;
  readonly task: () => void;
  isCancelled: boolean;
}

/** So many events are queued with Node at once: what they resolve is drained between any two of them. */
const BATCH = 64;
/** A run that never ends would hang its test. */
const MAX_EVENTS = 2_000_000;

/**
 * Virtual time. One event after another, in the order of their times; between two events everything that the first one
 * resolved has run, because nothing in a simulation waits for the real world.
 */
export class Scheduler {
  #now = 0;
  #order = 0;
  #ran = 0;
  readonly #heap: Event[] = [];

  /** Milliseconds since the start of the run. */
  get now(): number {
    return this.#now;
  }

  /** Events that ran so far. */
  get ran(): number {
    return this.#ran;
  }

  /** `party` undefined: nobody's, it always happens. */
  after(ms: number, party: Party | undefined, task: () => void): Stop {
    const event = { at: this.#now + Math.max(ms, 0), order: this.#order++, party, task, isCancelled: false };
    this.#push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  sleep(ms: number, party: Party | undefined): Promise<void> {
    return new Promise((resolve) => this.after(ms, party, resolve));
  }

  pause(party: Party): void {
    if (party.state === "running") party.state = "paused";
  }

  /** Everything that came meanwhile happens now, in its order. */
  resume(party: Party): void {
    if (party.state !== "paused") return;
    party.state = "running";
    for (const { task, isCancelled } of party.stash.splice(0)) if (!isCancelled) this.after(0, party, task);
  }

  kill(party: Party): void {
    party.state = "gone";
    party.stash.length = 0;
  }

  /** Runs events until `isDone`, or until so much time has passed. Answers whether it is done. */
  run(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.#now + limitMs;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const step = () => {
        if (isOver) return;
        try {
          if (isDone()) resolve(true);
          else if (!this.#runNext(end)) resolve(isDone());
          else return;
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
        isOver = true;
      };
      const queue = () => {
        for (let i = 0; i < BATCH; i++) setImmediate(step);
        setImmediate(() => isOver || queue());
      };
      queue();
    });
  }

  /** False: nothing is left before `end`, and time is there. */
  #runNext(end: number): boolean {
    if (++this.#ran > MAX_EVENTS) throw new Error(`a simulated run has more than ${MAX_EVENTS} events`);
    for (;;) {
      const event = this.#heap[0];
      if (event === undefined || event.at > end) {
        this.#now = Math.max(this.#now, end);
        return false;
      }
      this.#pop();
      if (event.isCancelled || event.party?.state === "gone") continue;
      this.#now = event.at;
      if (event.party?.state === "paused") {
        event.party.stash.push(event);
        continue;
      }
      event.task();
      return true;
    }
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
