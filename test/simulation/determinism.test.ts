import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { Party, Scheduler } from "./scheduler.ts";
import { type SimulationReport, simulate } from "./simulate.ts";

const written = ({ history, trace, events, violations }: SimulationReport) =>
  [history.toJsonLines(), JSON.stringify(trace), events, violations.join("\n")].join("\n");

describe("the simulation itself", () => {
  it("does the same again for the same seed, byte for byte, and something else for another", async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 12; seed++) {
      const first = written(await simulate({ seed }));
      assert.equal(written(await simulate({ seed })), first, `seed ${seed} went another way the second time`);
      seen.add(first);
    }
    assert.equal(seen.size, 12);
  });

  it("does the same also when another run goes on at the same time", async () => {
    const alone = written(await simulate({ seed: 77 }));
    const [together] = await Promise.all([simulate({ seed: 77 }), simulate({ seed: 78 })]);
    assert.equal(written(together), alone);
  });

  it("lets everything that an event resolved happen before the next event", async () => {
    const scheduler = new Scheduler();
    const said: string[] = [];
    for (const name of ["a", "b"]) {
      scheduler.after(1, undefined, async () => {
        said.push(`${name}1`);
        for (let i = 0; i < 10; i++) await Promise.resolve();
        said.push(`${name}2`);
      });
    }
    await scheduler.run(() => said.length === 4, 10);
    assert.deepEqual(said, ["a1", "a2", "b1", "b2"]);
  });

  it("gives a paused party its events later and in order, and a killed one none", async () => {
    const scheduler = new Scheduler();
    const [paused, killed] = [new Party("paused"), new Party("killed")];
    const said: string[] = [];
    for (const ms of [1, 2]) scheduler.after(ms, paused, () => said.push(`${ms} at ${scheduler.now}`));
    scheduler.after(1, killed, () => said.push("a dead one spoke"));
    scheduler.pause(paused);
    scheduler.kill(killed);
    scheduler.after(5, undefined, () => scheduler.resume(paused));
    await scheduler.run(() => false, 10);
    assert.deepEqual(said, ["1 at 5", "2 at 5"]);
    assert.equal(scheduler.now, 10);
  });
});
