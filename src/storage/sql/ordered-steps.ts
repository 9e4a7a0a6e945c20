import { BusError, isBusError } from "../../core/errors.ts";
import type { ChannelName } from "../../core/names.ts";
import { GroupCommit, type GroupCommitOptions } from "../group-commit.ts";
import type { AppendBatch, AppendOutcome } from "../message-log.ts";

const NOTHING: AppendOutcome = { kind: "appended", entries: [] };

/** Takes its turn in the queue of batches as one without records. */
interface Turn extends AppendBatch {
  take(): Promise<void>;
}

/**
 * Group commit where a log's other steps (create, fence, renewEpoch, delete) keep their place among its appends: what was
 * handed over before a step is stored before it runs, what comes after waits for it.
 */
export class OrderedSteps {
  readonly #commit: GroupCommit;
  readonly #store: GroupCommitOptions["commit"];

  constructor(options: GroupCommitOptions) {
    this.#store = options.commit;
    this.#commit = new GroupCommit({ ...options, commit: (name, batches) => this.#run(name, batches) });
  }

  append(batch: AppendBatch): Promise<AppendOutcome> {
    return this.#commit.append(batch);
  }

  /** Runs a step when all that was handed over to this log before is settled. Rejects as the step does. */
  async step<T>(name: ChannelName, run: () => Promise<T>): Promise<T> {
    let outcome: Promise<T> | undefined;
    const turn: Turn = {
      name,
      incarnation: "",
      version: 0,
      dedupWindowMs: 0,
      records: [],
      async take() {
        outcome = run();
        await outcome.catch(() => {}); // its failure is its caller's alone
      },
    };
    await this.#commit.append(turn);
    return await outcome!;
  }

  /** When all that was handed over is settled. */
  settled(): Promise<void> {
    return this.#commit.settled();
  }

  async #run(name: ChannelName, batches: readonly AppendBatch[]): Promise<readonly AppendOutcome[]> {
    if (!batches.some(isTurn)) return await this.#store(name, batches);
    const outcomes: AppendOutcome[] = [];
    for (let from = 0; from < batches.length; ) {
      const first = batches[from]!;
      if (isTurn(first)) {
        await first.take();
        outcomes.push(NOTHING);
        from++;
        continue;
      }
      const next = batches.findIndex((batch, i) => i > from && isTurn(batch));
      const group = batches.slice(from, next < 0 ? batches.length : next);
      try {
        outcomes.push(...(await this.#store(name, group)));
      } catch (error) {
        throw from === 0 ? error : afterStoring(error);
      }
      from += group.length;
    }
    return outcomes;
  }
}

function isTurn(batch: AppendBatch): batch is Turn {
  return "take" in batch;
}

/** The whole group fails with one error, and its first part may be stored: "nothing was stored" would be wrong. */
function afterStoring(error: unknown): unknown {
  if (isBusError(error, "STORAGE_UNAVAILABLE")) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new BusError("STORAGE_UNAVAILABLE", `a part of the appends failed: ${message}`, { cause: error });
}
