import type { Clock } from "../../src/core/clock.ts";
import { BusError } from "../../src/core/errors.ts";
import type { Directory } from "../../src/storage/directory.ts";
import type { Doorbell, Ring } from "../../src/storage/doorbell.ts";

/** What can happen to one of several nodes, and to its line to the storage that they share. */
export interface NodeLink {
  /** The node cannot reach the storage: everything fails, no ring goes either way. */
  cut(): void;
  /** It can again, and hears that it may have missed rings. */
  mend(): void;
  /** The process stands still, as under SIGSTOP. For ever is as good as killed. */
  stop(): void;
  resume(): void;
  /** Rings are lost from now on, and nobody notices. */
  deafen(): void;
  /** The next so many reads fail. */
  failReads(count: number): void;
  /** The next so many writes fail and are not stored. */
  refuse(count: number): void;
  /** The next so many writes are stored, but their answers are lost. */
  loseAnswers(count: number): void;
  /** Whether the doorbell was told that there are other nodes; undefined: it was told nothing. */
  readonly expectsOthers: boolean | undefined;
  /** Writes and reads that were asked for. */
  readonly calls: { puts: number; reads: number };
}

export interface LinkedParts {
  readonly link: NodeLink;
  readonly clock: Clock;
  readonly directory: Directory;
  readonly doorbell: Doorbell;
}

/** Puts a link between a node and what it shares with others. */
export function linkNode(shared: { clock: Clock; directory: Directory; doorbell: Doorbell }): LinkedParts {
  let reachable = true;
  let deaf = false;
  let running = true;
  let toRefuse = 0;
  let readsToFail = 0;
  let answersToLose = 0;
  let due: (() => void)[] = [];
  let expectsOthers: boolean | undefined;
  const calls = { puts: 0, reads: 0 };
  const listeners = new Set<(ring: Ring) => void>();
  const missed = () => {
    for (const listener of [...listeners]) listener({ topic: "missed" });
  };
  const whenRunning = (task: () => void) => () => void (running ? task() : due.push(task));

  const call = async <T>(step: () => Promise<T>, writes: boolean): Promise<T> => {
    calls[writes ? "puts" : "reads"]++;
    if (!reachable || !running) throw new BusError("STORAGE_UNAVAILABLE", "the link is cut");
    if (!writes && readsToFail > 0) {
      readsToFail--;
      throw new BusError("STORAGE_UNAVAILABLE", "the storage did not answer");
    }
    if (writes && toRefuse > 0) {
      toRefuse--;
      throw new BusError("STORAGE_UNAVAILABLE", "the storage did not take it");
    }
    const answer = await step();
    if (!writes || answersToLose === 0) return answer;
    answersToLose--;
    throw new BusError("STORAGE_UNAVAILABLE", "the answer was lost");
  };
  return {
    link: {
      get expectsOthers() {
        return expectsOthers;
      },
      calls,
      cut() {
        reachable = false;
      },
      mend() {
        reachable = true;
        missed();
      },
      stop() {
        running = false;
      },
      resume() {
        running = true;
        const tasks = due;
        due = [];
        for (const task of tasks) task();
        missed();
      },
      deafen() {
        deaf = true;
      },
      failReads(count) {
        readsToFail = count;
      },
      refuse(count) {
        toRefuse = count;
      },
      loseAnswers(count) {
        answersToLose = count;
      },
    },
    clock: {
      ...shared.clock,
      after: (ms, task) => shared.clock.after(ms, whenRunning(task)),
      every: (ms, task) => shared.clock.every(ms, whenRunning(task)),
    },
    directory: {
      get: (key) => call(() => shared.directory.get(key), false),
      list: (request) => call(() => shared.directory.list(request), false),
      count: (...asked) => call(() => shared.directory.count(...asked), false),
      put: (...asked) => call(() => shared.directory.put(...asked), true),
      delete: (...asked) => call(() => shared.directory.delete(...asked), true),
    },
    doorbell: {
      expectOthers(present) {
        expectsOthers = present;
      },
      ring(ring) {
        if (reachable && running) shared.doorbell.ring(ring);
      },
      listen(listener) {
        const own = (ring: Ring) => listener(ring);
        listeners.add(own);
        const stop = shared.doorbell.listen((ring) => {
          if (reachable && running && !deaf) own(ring);
        });
        return () => {
          listeners.delete(own);
          stop();
        };
      },
    },
  };
}
