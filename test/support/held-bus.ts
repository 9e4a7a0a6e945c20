import type { AppendOutcome, MessageLog } from "../../src/storage/message-log.ts";
import { openBus, overLog, type TestBus, type TestBusOptions } from "./bus-fixture.ts";

/** An append that was handed to the log and waits there. */
export interface HeldAppend {
  /** Lets it through, unless it was let through or failed before. */
  go(): void;
  fail(error: unknown): void;
}

export interface HeldBus extends TestBus {
  /** Appends that wait, in the order they came; those that were let go or failed stay in the list. */
  readonly held: readonly HeldAppend[];
  /** Whether appends wait from now on. */
  hold(on: boolean): void;
}

/** A bus whose appends a test holds, lets go or fails, as it likes. */
export async function openHeldBus(options: TestBusOptions = {}): Promise<HeldBus> {
  const held: HeldAppend[] = [];
  let holding = false;
  const append = (log: MessageLog, batch: Parameters<MessageLog["append"]>[0]) => {
    if (!holding) return log.append(batch);
    const { promise, resolve, reject } = Promise.withResolvers<AppendOutcome>();
    let waits = true;
    const once = (task: () => void) => {
      if (waits) task();
      waits = false;
    };
    held.push({ go: () => once(() => resolve(log.append(batch))), fail: (error) => once(() => reject(error)) });
    return promise;
  };
  const wrapLog = (log: MessageLog) => overLog(log, { append: (batch) => append(log, batch) });
  const hold = (on: boolean) => {
    holding = on;
  };
  return { ...(await openBus({ ...options, wrapLog })), held, hold };
}
