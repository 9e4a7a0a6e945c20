import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { type End, EndReason, type SubscribeResponse } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { waitUntil, within } from "../support/wait.ts";
import { openClients, type WireOptions } from "../support/wire-clients.ts";
import { unique, useBus } from "./shared-bus.ts";

const bus = useBus();

const WIRES: readonly (readonly [string, WireOptions])[] = [
  ["gRPC (fast path)", { protocol: "grpc" }],
  ["Connect JSON (portable path)", { protocol: "connect", binary: false }],
];

/** Reads to the end, and answers it. Rejects when the stream fails. */
function follow(stream: AsyncIterable<SubscribeResponse>) {
  const responses: SubscribeResponse[] = [];
  const end = (async (): Promise<End | undefined> => {
    for await (const response of stream) responses.push(response);
    return responses.at(-1)?.end;
  })();
  end.catch(() => {});
  return { responses, end, opened: () => waitUntil(() => responses.length > 0) };
}

describe.each(WIRES)("S4-5c: a stream that is finished on purpose says so: over %s", (_, wire) => {
  it("TAKEN_OVER: the newest of an exclusive name has it", async () => {
    using clients = openClients(bus().url, wire);
    const agentId = unique("agent");
    const open = (exclusive: string) => follow(clients.bus.subscribe({ agentId, channels: ["lab:notes"], exclusive }));
    const [older, another] = [open("main"), open("side")];
    await Promise.all([older.opened(), another.opened()]);
    const newer = open("main");
    await newer.opened();
    assert.equal((await within(older.end))?.reason, EndReason.TAKEN_OVER);
    await clients.bus.publish({ agentId: "alice", room: "lab", channel: "notes", messages: [{}] });
    for (const { responses } of [newer, another]) {
      await waitUntil(() => responses.some(({ messages }) => messages.length === 1));
      assert.ok(responses.every(({ end }) => end === undefined));
    }
    assert.ok(
      older.responses.every(({ messages }) => messages.length === 0),
      "one of them reads, not both",
    );
  });

  it("CHANNEL_DELETED: a channel that was named is gone; a pattern goes on", async () => {
    using clients = openClients(bus().url, wire);
    const [room, channel] = [unique("room"), "doomed"];
    await clients.rooms.createChannel({ channel: { room, channel }, createRoom: true });
    await clients.bus.publish({ agentId: "alice", room, channel, messages: [{}] });
    const named = follow(clients.bus.subscribe({ agentId: "bob", channels: [`${room}:doomed`, "lab:notes"] }));
    const matching = follow(clients.bus.subscribe({ agentId: "bob", patterns: [`${room}:*`] }));
    await Promise.all([named.opened(), matching.opened()]);
    await clients.rooms.deleteChannel({ room, channel });
    const end = await within(named.end);
    assert.equal(end?.reason, EndReason.CHANNEL_DELETED);
    assert.equal(end.channel, `${room}:doomed`);

    // Another log under the same name: sequences start at 1, and the pattern finds it.
    const { results } = await clients.bus.publish({ agentId: "alice", room, channel, messages: [{}, {}] });
    assert.match(results[1]!.position, /\.2$/);
    await waitUntil(() => matching.responses.flatMap(({ messages }) => messages).length === 2);
    assert.deepEqual(
      matching.responses.flatMap(({ messages }) => messages.map(({ sequence }) => sequence)),
      [1n, 2n],
    );
  });

  it("AGENT_GONE: the agent was disconnected, or deleted", async () => {
    using clients = openClients(bus().url, wire);
    for (const leave of ["disconnectAgent", "deleteAgent"] as const) {
      const agentId = unique("agent");
      const stream = follow(clients.bus.subscribe({ agentId, channels: ["lab:notes"] }));
      await stream.opened();
      await clients.agents[leave]({ agentId });
      assert.equal((await within(stream.end))?.reason, EndReason.AGENT_GONE);
    }
  });

  it("UNSUBSCRIBED: on a line, by the client's own wish, and the line goes on", async () => {
    using clients = openClients(bus().url, wire);
    let send = Promise.withResolvers<"unsubscribe" | "leave">();
    async function* requests() {
      yield { requestId: 1, request: { case: "hello" as const, value: { agentId: unique("agent") } } };
      yield { requestId: 2, request: { case: "subscribe" as const, value: { channels: ["lab:notes"] } } };
      if ((await send.promise) === "unsubscribe") {
        yield { requestId: 3, request: { case: "unsubscribe" as const, value: { subscribeId: 2 } } };
      }
      send = Promise.withResolvers();
      await send.promise;
    }
    const seen: string[] = [];
    for await (const { requestId, response } of clients.bus.connect(requests())) {
      const end = response.case === "delivery" ? response.value.end : undefined;
      seen.push(`${requestId} ${end === undefined ? response.case : nameOf(end.reason)}`);
      if (response.case === "delivery" && response.value.opened !== undefined) send.resolve("unsubscribe");
      if (seen.includes("2 UNSUBSCRIBED") && seen.includes("3 done")) send.resolve("leave");
    }
    assert.deepEqual(seen.toSorted(), ["1 welcome", "2 UNSUBSCRIBED", "2 delivery", "3 done"]);
  });
});

function nameOf(reason: EndReason): string {
  return Object.entries(EndReason).find(([, value]) => value === reason)?.[0] ?? String(reason);
}
