import { setTimeout as pause } from "node:timers/promises";
import { openClients } from "../../test/support/wire-clients.ts";
import type { Cluster } from "./cluster.ts";
import type { Recorder } from "./recorder.ts";
import { CLOSER, END_PREFIX } from "./stage-plan.ts";
import { createWorkload, recordAttempt, type Target } from "./workload.ts";

export interface LastWordsOptions {
  readonly cluster: Cluster;
  readonly history: Recorder;
  readonly channels: readonly string[];
  readonly load: { readonly unfinished: readonly string[]; readonly failed: Promise<never> };
  readonly timeoutMs: number;
}

/** What is VOLATILE may miss a reader that resumes just then: it is said again. */
const AGAIN_MS = 500;

/**
 * Says a last word in each channel and resolves when every reader has read it, and with it all that came before. Throws
 * with those who have not.
 */
export async function publishEnds({ cluster, history, channels, load, timeoutMs }: LastWordsOptions): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let round = 1; round === 1 || load.unfinished.length > 0; round++) {
    if (performance.now() > deadline) throw new Error(`not read to the end: ${load.unfinished.join(", ")}`);
    await Promise.race([load.failed, sayInEach(cluster, history, channels, `${END_PREFIX}${round}`)]);
    const saidAt = performance.now();
    while (load.unfinished.length > 0 && performance.now() - saidAt < AGAIN_MS) {
      await Promise.race([load.failed, pause(5)]);
    }
  }
}

/** One message in each channel. */
export async function sayInEach(
  cluster: Cluster,
  history: Recorder,
  channels: readonly string[],
  name: string,
): Promise<void> {
  using clients = openClients(cluster.nodes[0]!.directUrl);
  for (const channel of channels) {
    const writer = { agent: CLOSER, producer: `${name}-${channel}` };
    const batch = createWorkload(writer, [targetOf(channel)], () => 0)();
    const attempt = recordAttempt(history, writer, batch);
    attempt.acked(await clients.bus.publish(batch.request));
  }
}

function targetOf(channel: string): Target {
  const [room, name] = [channel.slice(0, channel.indexOf(":")), channel.slice(channel.indexOf(":") + 1)];
  return room === "_inbox" ? { room: "", channel: "", to: [name] } : { room, channel: name };
}
