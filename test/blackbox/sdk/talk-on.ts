import assert from "node:assert/strict";
import { onTestFinished } from "vitest";
import { BusNodes } from "../../support/bus-nodes.ts";
import type { TestStorage } from "../../support/test-storage.ts";
import { runTalk, type TalkReport } from "./talk.ts";

export interface TalkSetting {
  readonly storage: TestStorage;
  /** On which the agents are in turn. */
  readonly nodes: number;
  readonly seed: number;
  /** The last node is killed with -9 in the middle and started again. Default: false. */
  readonly kill?: boolean;
}

/** One talk on a bus of its own. */
export async function talkOn({ storage, nodes: count, seed, kill = false }: TalkSetting): Promise<void> {
  const nodes = await BusNodes.start({ storage, count });
  onTestFinished(() => nodes.end());
  const restart = async () => {
    await nodes.kill(count - 1);
    await nodes.start(count - 1);
  };
  const ports = nodes.all.map(({ port }) => port);
  expectTalk(await runTalk({ ports, seed, ...(kill ? { onThird: restart } : {}) }));
}

/** A history in which little happened proves little. */
function expectTalk(report: TalkReport): void {
  // Six agents say 240 things, ask 40 questions and answer as many.
  assert.equal(report.messages, 6 * (240 + 40 + 40));
  assert.equal(report.ackedNotLookedFor, 0);
  assert.equal(report.gaps, 0);
  assert.ok(report.deliveries > 2 * report.messages, `${report.deliveries} deliveries`);
  assert.ok(
    report.connections.every((connections) => connections >= 3),
    `${report.connections} connections`,
  );
}
