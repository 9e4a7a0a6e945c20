import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { channelName } from "../../src/core/names.ts";
import { parsePosition } from "../../src/core/position.ts";
import type { RoutingConfig } from "../../src/core/room.ts";
import { openBus, overLog } from "../support/bus-fixture.ts";

const explore = channelName("science", "explore");
const MAX_CHANGES = 6;

/** The n-th routing sends everything to agent n alone, so that an audience tells by which one it was made. */
const routingTo = (n: number): RoutingConfig => ({
  strategy: "INDIVIDUAL",
  allowSenderRecipients: true,
  recipients: { agents: [`agent${n}`], groups: [], select: undefined },
  capabilities: [],
  limit: 0,
  custom: "",
});

const turns = (count: number) =>
  Array.from({ length: count }).reduce<Promise<void>>(
    (before) => before.then(() => new Promise((resolve) => setImmediate(resolve))),
    Promise.resolve(),
  );

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 1, arbitrary: fc.constant({ change: true as const }) },
  { weight: 1, arbitrary: fc.constant({ pause: true as const }) },
);

describe("routing that is changed at run time", () => {
  it("S0-3.2.2 S1-5.2: takes effect exactly behind the position that the change was answered with, while publishes run", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom("channel", "room"),
        fc.array(step, { minLength: 5, maxLength: 40, size: "max" }),
        fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 20 }),
        async (of, steps, delays) => {
          let appends = 0;
          const bus = await openBus({
            // A store that answers late: changes come between routing and storing, and between storing and answering.
            wrapLog: (log) =>
              overLog(log, {
                async append(batch) {
                  await turns(delays[appends++ % delays.length]!);
                  const outcome = await log.append(batch);
                  await turns(delays[appends % delays.length]!);
                  return outcome;
                },
                async fence(...args) {
                  await turns(delays[appends % delays.length]!);
                  return await log.fence(...args);
                },
              }),
          });
          for (let n = 0; n <= MAX_CHANGES; n++) await bus.agents.ensure(`agent${n}`);
          await bus.rooms.createChannel({ name: explore, description: "", metadata: {}, config: {} }, true);
          const change = async (n: number): Promise<number> => {
            const routing = routingTo(n);
            if (of === "channel") return (await bus.rooms.updateChannel(explore, { config: { routing } })).sequence;
            return (await bus.rooms.updateRoom("science", { defaults: { routing } })).effective[0]!.sequence;
          };
          // Behind which sequence each routing is in force.
          const changes = [await change(0)];
          const publishes: Promise<{ sequence: number; audience: readonly string[] | null }[]>[] = [];
          for (const one of steps) {
            if ("pause" in one) await turns(1);
            else if ("publish" in one) {
              const said = Array.from({ length: one.publish }, () => "x");
              publishes.push(
                bus
                  .say("alice", explore.key, ...said)
                  .then(({ results }) =>
                    results.map(({ position, audience }) => ({ sequence: parsePosition(position).sequence, audience })),
                  ),
              );
            } else if (changes.length <= MAX_CHANGES) {
              // One after another, as one administrator makes them; publishes go on meanwhile.
              changes.push(await change(changes.length));
            }
          }
          const stored = (await Promise.all(publishes)).flat().sort((a, b) => a.sequence - b.sequence);
          for (const [i, { sequence, audience }] of stored.entries()) {
            assert.equal(sequence, i + 1);
            const inForce = changes.findLastIndex((effective) => effective < sequence);
            assert.deepEqual(
              audience,
              [`agent${inForce}`],
              `${sequence} of ${stored.length}; changes behind ${changes}`,
            );
          }
          await bus.close();
        },
      ),
      { numRuns: 300 },
    ));
});
