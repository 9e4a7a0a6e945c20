import { type BusError, isBusError } from "../../src/core/errors.ts";
import type { AppendBatch, AppendOutcome } from "../../src/storage/message-log.ts";
import { unavailable } from "./virtual-backend.ts";

export interface AppendLanesOptions {
  /** All of the batches, which are of one log, in one step. */
  readonly commit: (batches: readonly AppendBatch[]) => Promise<readonly AppendOutcome[]>;
  /** When everything that runs now has run. */
  readonly atEndOfTurn: (task: () => void) => void;
}

interface Waiting {
  readonly batch: AppendBatch;
  readonly resolve: (outcome: AppendOutcome) => void;
  readonly reject: (error: BusError) => void;
}

interface Lane {
  waiting: Waiting[];
  isBusy: boolean;
  refusal: BusError | undefined;
}

/**
 * The order that a log owes: one commit at a time, in the order of the appends, and a failure fails everything that was
 * handed over before it was told.
 */
export function createAppendLanes({ commit, atEndOfTurn }: AppendLanesOptions) {
  const lanes = new Map<string, Lane>();

  async function run(lane: Lane): Promise<void> {
    lane.isBusy = true;
    while (lane.waiting.length > 0) {
      const taken = lane.waiting.splice(0);
      try {
        const outcomes = await commit(taken.map(({ batch }) => batch));
        taken.forEach(({ resolve }, i) => void resolve(outcomes[i]!));
      } catch (error) {
        const refusal = isBusError(error) ? error : unavailable(String(error));
        lane.refusal = refusal;
        // Whoever awaits these appends hears of it before the end of the turn.
        atEndOfTurn(() => {
          lane.refusal = undefined;
        });
        for (const { reject } of [...taken, ...lane.waiting.splice(0)]) reject(refusal);
      }
    }
    lane.isBusy = false;
  }

  return (batch: AppendBatch): Promise<AppendOutcome> => {
    const { key } = batch.name;
    const lane = lanes.get(key) ?? { waiting: [], isBusy: false, refusal: undefined };
    lanes.set(key, lane);
    if (lane.refusal !== undefined) return Promise.reject(lane.refusal);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ batch, resolve, reject });
      if (lane.isBusy || lane.waiting.length > 1) return;
      atEndOfTurn(() => {
        if (!lane.isBusy) void run(lane);
      });
    });
  };
}
