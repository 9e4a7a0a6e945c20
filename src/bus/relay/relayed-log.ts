import type { ChannelName } from "../../core/names.ts";
import type { AppendBatch, AppendedEntry, AppendOutcome, MessageLog } from "../../storage/message-log.ts";

/** Hears what happens to a log, at once. */
export interface LogEars {
  created(name: ChannelName, incarnation: string): void;
  appended(batch: AppendBatch, entries: readonly AppendedEntry[]): void;
  deleted(name: ChannelName, incarnation: string): void;
}

/** The same log, and somebody who hears what this node does to it. */
export function relayedLog(inner: MessageLog, ears: LogEars): MessageLog {
  function heard(batch: AppendBatch, outcome: AppendOutcome): AppendOutcome {
    if (outcome.kind === "appended") ears.appended(batch, outcome.entries);
    return outcome;
  }
  return {
    async create(name, incarnation, version) {
      const state = await inner.create(name, incarnation, version);
      ears.created(name, incarnation);
      return state;
    },
    append(batch) {
      const outcome = inner.append(batch);
      return outcome instanceof Promise ? outcome.then((later) => heard(batch, later)) : heard(batch, outcome);
    },
    async delete(name, incarnation) {
      await inner.delete(name, incarnation);
      ears.deleted(name, incarnation);
    },
    state: (name) => inner.state(name),
    ends: (names) => inner.ends(names),
    read: (request) => inner.read(request),
    findId: (name, id, after) => inner.findId(name, id, after),
    findTime: (name, timeMs) => inner.findTime(name, timeMs),
    fence: (name, incarnation, version) => inner.fence(name, incarnation, version),
    renewEpoch: (name) => inner.renewEpoch(name),
    trim: (name, retention) => inner.trim(name, retention),
  };
}
