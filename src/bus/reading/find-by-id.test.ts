import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, it } from "vitest";
import { SubscribeResponseSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { openBus, overLog, type TestBus, type TestBusOptions, textOf } from "../../../test/support/bus-fixture.ts";
import { isBusError, type Reason } from "../../core/errors.ts";

const CHANNEL = "science:explore";
const where = { room: "science", channel: "explore" };
const never = new AbortController().signal;
const refused = (reason: Reason) => (error: unknown) => isBusError(error, reason);

/** Mallory says something to herself under the id "m", `times` times, and then alice says it to all. */
async function shadowed(times: number, settings: TestBusOptions = {}): Promise<TestBus> {
  const bus = await openBus(settings);
  const toMallory = { id: "m", to: { agents: ["mallory"] }, payload: { case: "text" as const, value: "mine" } };
  for (let i = 0; i < times; i++) {
    await bus.say("mallory", CHANNEL, { ...toMallory, idempotencyKey: `${i}` });
    if (i % 3 === 0) await bus.say("carol", CHANNEL, "in between");
  }
  await bus.say("alice", CHANNEL, { id: "m", payload: { case: "text", value: "for all" } }, "behind it");
  return bus;
}

async function read(bus: TestBus, agentId: string): Promise<readonly string[]> {
  const { sealed } = await bus.fetcher.get({ agentId, ...where }, { id: "m" });
  const page = await bus.fetcher.fetch(
    {
      agentId,
      ...where,
      start: { kind: "id", id: "m" },
      backward: false,
      filter: undefined,
      maxMessages: 1,
      waitMs: 0,
    },
    never,
  );
  return [sealed, page.sealed[0]!].map((bytes) =>
    textOf(fromBinary(SubscribeResponseSchema, Uint8Array.from(bytes)).messages[0]!),
  );
}

describe("a message by its id", () => {
  // The oldest of an id was the only one looked at: who guessed an id could hide the message that came later under it.
  it.each([1, 2, 99])("S3-US1.1: is not hidden by %i private ones of the same id", async (times) => {
    const bus = await shadowed(times);
    assert.deepEqual(await read(bus, "reader"), ["for all", "behind it"]);
    assert.equal((await read(bus, "mallory"))[0], "mine", "each finds the oldest that it may see");
  });

  it("is looked for among the first 100 of its id, and no further; its position finds it", async () => {
    let asked = 0;
    const wrapLog: TestBusOptions["wrapLog"] = (log) =>
      overLog(log, {
        findId(name, id, after) {
          asked++;
          return log.findId(name, id, after);
        },
      });
    const bus = await shadowed(100, { wrapLog });
    const missing = bus.fetcher.get({ agentId: "reader", ...where }, { id: "m" });
    await assert.rejects(
      missing,
      (error: unknown) => isBusError(error, "MESSAGE_NOT_FOUND") && /first 100 of this id/.test(error.message),
    );
    assert.ok(asked <= 100, `the log was asked ${asked} times`);
    const { results } = await bus.say("alice", CHANNEL, { id: "m", idempotencyKey: "again" });
    const { position } = results[0]!;
    assert.equal((await bus.fetcher.get({ agentId: "reader", ...where }, { position })).position, position);
  });

  it("is not the one that has expired, when another one has not", async () => {
    const bus = await openBus();
    await bus.say("alice", CHANNEL, { id: "m", idempotencyKey: "1", name: "old", timeToLive: { seconds: 1n } });
    await bus.say("alice", CHANNEL, { id: "m", idempotencyKey: "2", payload: { case: "text", value: "new" } }, "x");
    bus.clock.step(2_000);
    assert.equal((await read(bus, "reader"))[0], "new");
  });

  it("says the same whether others have messages of the id or nobody has", async () => {
    const bus = await shadowed(3);
    const ask = (agentId: string, id: string) =>
      bus.fetcher.get({ agentId, ...where }, { id }).catch((error: Error) => error.message.replace(id, "?"));
    await bus.say("mallory", CHANNEL, { id: "secret", to: { agents: ["mallory"] } });
    assert.equal(await ask("reader", "secret"), await ask("reader", "nobody's"));
  });

  it("that cannot be read is DATA_DAMAGED, not NOT_FOUND", async () => {
    const wrapLog: TestBusOptions["wrapLog"] = (log) =>
      overLog(log, {
        async read(request) {
          const result = await log.read(request);
          return request.maxEntries > 1 ? result : { ...result, entries: [], damaged: [{ first: 1, last: 1 }] };
        },
      });
    const bus = await openBus({ wrapLog });
    await bus.say("alice", CHANNEL, { id: "m" });
    await assert.rejects(bus.fetcher.get({ agentId: "reader", ...where }, { id: "m" }), refused("DATA_DAMAGED"));
  });
});
