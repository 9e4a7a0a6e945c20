import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { channelName } from "../../src/core/names.ts";
import { parsePosition } from "../../src/core/position.ts";
import type { RoutingConfig } from "../../src/core/room.ts";
import { openBus, overLog } from "../support/bus-fixture.ts";
import { createSharedBackend } from "../support/shared-backend.ts";
import { openTwo } from "../support/two-nodes.ts";

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

  it("S1-5.2: takes effect at that position on every node, also on one that did not hear of the change", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom("channel", "room"),
        fc.array(
          fc.oneof(
            { weight: 4, arbitrary: fc.record({ publish: fc.integer({ min: 1, max: 3 }), onA: fc.boolean() }) },
            { weight: 1, arbitrary: fc.record({ change: fc.constant(true as const), onA: fc.boolean() }) },
            { weight: 1, arbitrary: fc.constant({ pause: true as const }) },
          ),
          { minLength: 5, maxLength: 40, size: "max" },
        ),
        fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        async (of, steps, delays, ringsCome) => {
          let asked = 0;
          const late = async <T>(ask: () => T | Promise<T>): Promise<T> => {
            await turns(delays[asked++ % delays.length]!);
            const answer = await ask();
            await turns(delays[asked % delays.length]!);
            return answer;
          };
          const backend = createSharedBackend({
            wrapLog: (log) =>
              overLog(log, {
                append: (batch) => late(() => log.append(batch)),
                fence: (...args) => late(() => log.fence(...args)),
              }),
          });
          const { a, b, settle } = await openTwo(backend);
          for (let n = 0; n <= MAX_CHANGES; n++) await a.agents.ensure(`agent${n}`);
          await a.agents.ensure("alice");
          await a.rooms.createChannel({ name: explore, description: "", metadata: {}, config: {} }, true);
          await settle();
          backend.ringFilter = ({ topic }) => ringsCome || topic !== "record";
          const change = async (n: number, { rooms }: typeof a): Promise<number> => {
            const routing = routingTo(n);
            if (of === "channel") return (await rooms.updateChannel(explore, { config: { routing } })).sequence;
            return (await rooms.updateRoom("science", { defaults: { routing } })).effective[0]!.sequence;
          };
          const changes = [await change(0, a)];
          const publishes: Promise<{ sequence: number; audience: readonly string[] | null }[]>[] = [];
          for (const one of steps) {
            if ("pause" in one) await turns(1);
            else if ("publish" in one) {
              const said = Array.from({ length: one.publish }, () => "x");
              publishes.push(
                (one.onA ? a : b)
                  .say("alice", explore.key, ...said)
                  .then(({ results }) =>
                    results.map(({ position, audience }) => ({ sequence: parsePosition(position).sequence, audience })),
                  ),
              );
            } else if (changes.length <= MAX_CHANGES) {
              changes.push(await change(changes.length, one.onA ? a : b));
            }
          }
          const stored = (await Promise.all(publishes)).flat().sort((x, y) => x.sequence - y.sequence);
          for (const [i, { sequence, audience }] of stored.entries()) {
            assert.equal(sequence, i + 1);
            const inForce = changes.findLastIndex((effective) => effective < sequence);
            assert.deepEqual(
              audience,
              [`agent${inForce}`],
              `${sequence} of ${stored.length}; changes behind ${changes}`,
            );
          }
          await a.close();
          await b.close();
        },
      ),
      { numRuns: 200 },
    ));
});
