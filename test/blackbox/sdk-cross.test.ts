import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, onTestFinished } from "vitest";
import { type BusProcess, startBus } from "../support/bus-process.ts";
import { runTalk, type TalkReport } from "./sdk/talk.ts";

// Ends by itself after about ten seconds; the limit is for a talk that hangs, which says why before.
describe("TypeScript and Python agents in one full-duplex talk, each link cut every 0.5 to 3 s", {
  timeout: 90_000,
}, () => {
  it("U-4, S3-SC-010: everyone reads every message that is for it, once and in order, and no other", async () => {
    const bus = await start();
    expectTalk(await runTalk({ port: bus.port, seed: 1 }));
  });

  it("U-4, S3-SC-003, S0-2.1.4b: also when the server is killed with -9 in the middle and started again on its file", async () => {
    const folder = await mkdtemp(join(tmpdir(), "agentbus-talk-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const args = ["--storage", `file:${join(folder, "data")}`];
    const bus = await start(args);
    const restart = async () => {
      await bus.kill();
      await start(args, bus.port);
    };
    expectTalk(await runTalk({ port: bus.port, seed: 2, onThird: restart }));
  });
});

async function start(args: readonly string[] = [], port = 0): Promise<BusProcess> {
  const bus = await startBus({ args, port });
  onTestFinished(async () => {
    await bus.kill();
  });
  return bus;
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
