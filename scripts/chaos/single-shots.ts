import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { openClients } from "../../test/support/wire-clients.ts";
import { paceOf } from "./pacing.ts";
import type { Recorder } from "./recorder.ts";
import { FLEETING, ROOM } from "./stage-plan.ts";
import { outcomeOf } from "./wire-error.ts";
import { createWorkload, recordAttempt } from "./workload.ts";

export interface SingleShotsOptions {
  readonly url: () => string;
  readonly history: Recorder;
  readonly seed: number;
  readonly perSecond: number;
  readonly stop: AbortSignal;
}

const CALL_MS = 2_000;
const MEAN_BATCH = 4.5;
/** Sent one after another to the same node, for the order; then the next node. */
const SHOTS_PER_NODE = 20;

/** Publishes to the VOLATILE channel, each batch once: what fails is not sent again, so nothing may come twice. */
export async function runSingleShots({ url, history, seed, perSecond, stop }: SingleShotsOptions): Promise<void> {
  const random = createSeededRandom(seed);
  const pace = paceOf(perSecond, MEAN_BATCH, random);
  for (let line = 1; !stop.aborted; line++) {
    using clients = openClients(url());
    // Order is promised for each publisher on one node.
    const writer = { agent: "vic", producer: `vic-shots-${line}` };
    const next = createWorkload(writer, [{ room: ROOM, channel: FLEETING }], random);
    for (let shot = 0; shot < SHOTS_PER_NODE && !stop.aborted; shot++) {
      await pace();
      const batch = next();
      const attempt = recordAttempt(history, writer, batch);
      try {
        attempt.acked(await clients.bus.publish(batch.request, { timeoutMs: CALL_MS }));
      } catch (error) {
        if (outcomeOf(error) === "unknown") attempt.unknown();
        else attempt.refused();
        break;
      }
    }
  }
}
