import assert from "node:assert/strict";
import { beforeAll, describe, it } from "vitest";
import { RoutingStrategy } from "../../../gen/agentbus/v1/room_pb.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { openClients, type WireClients } from "../../support/wire-clients.ts";
import { useBus } from "../shared-bus.ts";
import type { BadRequest } from "./bad-request.ts";
import { DIRECTORY_CASES } from "./directory-cases.ts";
import { assertReason } from "./provoked.ts";
import { PUBLISH_CASES } from "./publish-cases.ts";
import { type Known, readCases } from "./read-cases.ts";
import { STEADY, snapshot } from "./snapshot.ts";
import { send, WAYS } from "./ways.ts";

/** Requests that must be refused, each on every way, and each without a trace. */
export function describeRefusals(): void {
  const bus = useBus({ args: [...STEADY, "--set", "cleanupInterval=100ms"] });
  let clients: WireClients;
  const known = { first: "", head: "" };

  beforeAll(async () => {
    clients = openClients(bus().url);
    Object.assign(known, await prepare(clients));
    return () => clients.close();
  });

  /** Sent on every way that can express it: the same refusal each time, and everything as it was. */
  async function refuse(test: BadRequest): Promise<void> {
    const before = await snapshot(bus().url, clients);
    for (const way of test.ways ?? WAYS) {
      const failure = await within(send(bus().url, way, test), { what: `${way} to answer` });
      assert.ok(failure !== undefined, `${way}: the request went well`);
      const shown = `${way}: ${failure.code} ${failure.reason}: ${failure.message}`;
      assertReason(failure, test.reason);
      if (test.field !== undefined)
        assert.ok(failure.violations.includes(test.field), `${shown}: ${failure.violations}`);
      // A person must be able to tell what was wrong.
      assert.ok(failure.message.length > 10, shown);
    }
    assert.deepEqual(await snapshot(bus().url, clients), before, "the request left a trace");
  }

  describe("S3-FR-010: Publish refuses, without a trace,", () => {
    it.each(PUBLISH_CASES)("$title: $reason", refuse);
  });

  describe("S3-FR-010: reading refuses, without a trace,", () => {
    // The positions are known when the server runs; the titles must be known before.
    it.each(readCases({ first: "lab:notes@00000000.1", head: "lab:notes@00000000.2" }))(
      "$title: $reason",
      ({ title }) => refuse(readCases(known).find((test) => test.title === title)!),
    );
  });

  describe("S3-FR-009: rooms, agents and administration refuse, without a trace,", () => {
    it.each(DIRECTORY_CASES)("$title: $reason", refuse);
  });
}

async function prepare({ rooms, agents, bus: service }: WireClients): Promise<Known> {
  for (const agentId of ["alice", "bob", "carol"]) await agents.registerAgent({ agent: { agentId } });
  const room = "lab";
  await rooms.createRoom({ room: { room, description: "where it happens" } });
  const channels = {
    notes: {},
    full: { maxMembers: 1 },
    short: { retention: { maxMessages: 2n } },
    decides: { routing: { allowSenderRecipients: false } },
    "for-one": { routing: { strategy: RoutingStrategy.INDIVIDUAL } },
    "by-capability": { routing: { strategy: RoutingStrategy.CAPABILITY } },
    "in-turn": { routing: { strategy: RoutingStrategy.ROUND_ROBIN } },
  };
  for (const [channel, config] of Object.entries(channels)) {
    await rooms.createChannel({ channel: { room, channel, config } });
  }
  // Rooms whose channels come to be on demand, and are routed as the room says.
  const defaults = {
    asks: { strategy: RoutingStrategy.CAPABILITY },
    turns: { strategy: RoutingStrategy.ROUND_ROBIN },
    group: { strategy: RoutingStrategy.SUBGROUP, recipients: { groups: ["nobody-here"] } },
    single: { strategy: RoutingStrategy.INDIVIDUAL },
    strict: { allowSenderRecipients: false },
  };
  for (const [name, routing] of Object.entries(defaults)) {
    await rooms.createRoom({ room: { room: name, defaults: { routing } } });
  }
  await rooms.createRoom({ room: { room: "closed", autoCreateChannels: false } });
  await rooms.joinChannel({ agentId: "alice", room, channel: "full" });
  await rooms.joinChannel({ agentId: "alice", room, channel: "in-turn" });
  const say = (channel: string, ...messages: Parameters<typeof service.publish>[0]["messages"] & object) =>
    service.publish({ agentId: "alice", room, channel, messages });
  const { results } = await say(
    "notes",
    { payload: { case: "text", value: "first" }, idempotencyKey: "used" },
    { payload: { case: "text", value: "second" }, id: "used-id" },
    { payload: { case: "text", value: "psst" }, id: "for-bob", to: { agents: ["bob"] } },
  );
  await service.publish({ agentId: "alice", messages: [{ to: { agents: ["bob"] } }] });
  for (let i = 0; i < 5; i++) await say("short", { payload: { case: "text", value: String(i) } });
  await waitUntil(async () => {
    const { channel } = await rooms.getChannel({ room, channel: "short" });
    return channel!.firstSequence === 4n;
  });
  return { first: results[0]!.position, head: results[2]!.position };
}
