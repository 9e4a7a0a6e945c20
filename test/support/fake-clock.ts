import type { Clock, Stop } from "../../src/core/clock.ts";

export interface FakeClockOptions {
  /** Milliseconds since 1970 at the start. Default: 2026-01-01T00:00:00Z. */
  readonly now?: number;
  /**
   * `queue`: deferred tasks wait for `flush()`. `immediate`: they run at the end of the real turn of the event loop,
   * for code that awaits real promises between two deferred tasks. Default: `queue`.
   */
  readonly defer?: "queue" | "immediate";
}

/** A clock that stands still until a test moves it. */
export interface FakeClock extends Clock {
  /**
   * Moves time forward and runs what falls due, in the order of its time, each at its own instant. Tasks scheduled
   * meanwhile run, too, when they fall due before the end. Deferred tasks are run after each of them.
   */
  advance(ms: number): void;
  /** Moves the calendar alone, as an administrator or NTP does: nothing falls due, `monotonic` does not see it. */
  step(ms: number): void;
  /** Runs deferred tasks until none is left, those they defer included. Answers how many ran. */
  flush(): number;
  /** Timers that are still scheduled: a test ends with 0, or something was not stopped. */
  readonly pending: number;
}

interface Timer {
  at: number;
  readonly order: number;
  readonly everyMs: number | undefined;
  readonly task: () => void;
}

/** A task that defers itself for ever would hang the test without this bound. */
const MAX_FLUSH = 100_000;

export function createFakeClock(options: FakeClockOptions = {}): FakeClock {
  const timers = new Set<Timer>();
  const deferred: (() => void)[] = [];
  const immediate = options.defer === "immediate";
  let offset = options.now ?? Date.UTC(2026, 0, 1);
  let elapsed = 0;
  let scheduled = 0;

  function schedule(ms: number, everyMs: number | undefined, task: () => void): Stop {
    if (!(ms >= 0)) throw new RangeError(`a timer wants 0 or more milliseconds, not ${ms}`);
    if (everyMs === 0) throw new RangeError("a repeating timer of 0 milliseconds would never end");
    const timer: Timer = { at: elapsed + ms, order: scheduled++, everyMs, task };
    timers.add(timer);
    return () => void timers.delete(timer);
  }

  function nextDue(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of timers) {
      if (timer.at > end) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer;
    }
    return next;
  }

  function flush(): number {
    let ran = 0;
    for (let task = deferred.shift(); task !== undefined; task = deferred.shift()) {
      if (++ran > MAX_FLUSH) throw new Error(`more than ${MAX_FLUSH} deferred tasks: one defers itself for ever`);
      task();
    }
    return ran;
  }

  return {
    now: () => offset + elapsed,
    monotonic: () => elapsed,
    after: (ms, task) => schedule(ms, undefined, task),
    every: (ms, task) => schedule(ms, ms, task),
    defer: (task) => void (immediate ? setImmediate(task) : deferred.push(task)),
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError(`time goes forward: ${ms}`);
      const end = elapsed + ms;
      for (let timer = nextDue(end); timer !== undefined; timer = nextDue(end)) {
        elapsed = timer.at;
        if (timer.everyMs === undefined) timers.delete(timer);
        else timer.at += timer.everyMs;
        timer.task();
        flush();
      }
      elapsed = end;
      flush();
    },
    step(ms) {
      offset += ms;
    },
    flush,
    get pending() {
      return timers.size;
    },
  };
}
