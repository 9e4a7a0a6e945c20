import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { AdminService } from "../../../gen/agentbus/v1/admin_service_pb.ts";
import { createBackend, openNode, pass } from "../../../test/support/registry-fixture.ts";
import { clientOf, openAccess, reasonOf } from "../../../test/support/rpc-fixture.ts";
import { DEFAULT_BUS_OPTIONS } from "../../core/bus-options.ts";
import { BusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import { RoutingRegistry } from "../../routing/routing-registry.ts";
import { createAdminHandlers, type NodeActivity } from "./admin-handlers.ts";

const ACTIVITY: NodeActivity = {
  serving: true,
  problems: ["storage is slow"],
  connections: 1,
  streams: 2,
  subscriptions: 3,
  published: 4,
  delivered: 5,
  publishRate: 6.5,
  deliveryRate: 7.5,
};

async function open(backend = createBackend("durable")) {
  const node = await openNode(backend);
  const drained: (number | undefined)[] = [];
  const handlers = createAdminHandlers({
    ...node,
    access: openAccess,
    options: DEFAULT_BUS_OPTIONS,
    version: "1.2.3",
    startedAtMs: node.clock.now() - 60_000,
    storage: { kind: "file", capabilities: node.backend.capabilities },
    authenticationRequired: true,
    routingStrategies: () => new RoutingRegistry().register("mine", () => ({ route: () => null })).names,
    activity: () => ACTIVITY,
    subscriptionCount: () => 0,
    metricsJson: async () => '{"counters":{}}',
    drain: (graceMs) => drained.push(graceMs),
  });
  return { ...node, drained, client: clientOf(AdminService, handlers) };
}

describe("AdminService", () => {
  it("S3-FR-004: Ping answers at once with what was sent", async () => {
    const { client, clock } = await open();
    const answer = await client.ping({ payload: "hi" });
    assert.deepEqual(
      [answer.payload, answer.nodeId, answer.serverTime?.seconds],
      ["hi", "message-broker-1", BigInt(clock.now() / 1_000)],
    );
  });

  it("GetServerInfo says what this server is, can do and allows", async () => {
    const { client } = await open();
    const info = await client.getServerInfo({});
    assert.deepEqual(
      [info.version, info.protocolVersion, info.storage, info.authenticationRequired],
      ["1.2.3", "1.0", "file", true],
    );
    assert.deepEqual(info.features, ["durable", "volatile", "stored", "synced"]);
    assert.equal(info.limits["messageBytes"], 1_048_576n);
    assert.deepEqual(info.routingStrategies, [
      "BROADCAST",
      "SUBGROUP",
      "INDIVIDUAL",
      "CAPABILITY",
      "ROUND_ROBIN",
      "mine",
    ]);
  });

  it("S3-FR-004: GetStatus counts, and names the channels with the most members first", async () => {
    const { client, rooms, agents } = await open();
    for (const [id, channel] of [
      ["a", "quiet"],
      ["a", "busy"],
      ["b", "busy"],
    ] as const) {
      await agents.ensure(id);
      await rooms.join(id, channelName("science", channel));
    }
    agents.openStream("a", () => {});
    const status = await client.getStatus({ maxChannels: 1 });
    assert.deepEqual([status.agents, status.agentsOnline, status.rooms, status.channels], [2, 1, 1, 2]);
    assert.deepEqual(
      status.busiestChannels.map(({ channel, memberCount }) => [channel, memberCount]),
      [["busy", 2]],
    );
    const [node] = status.nodes;
    assert.deepEqual(
      [node?.serving, node?.problems, node?.published, node?.publishRate],
      [true, ["storage is slow"], 4n, 6.5],
    );
    assert.equal(node?.uptimeDuration?.seconds, 60n);
  });

  // It was refused, so that an operator saw nothing just when the storage was away.
  it("GetStatus shows nodes and counts while the storage is away, and channels when it is back", async () => {
    const { client, rooms, agents } = await open();
    await agents.ensure("a");
    await rooms.join("a", channelName("science", "busy"));
    const { log } = rooms.channel("science:busy")!;
    const state = log.state.bind(log);
    log.state = () => Promise.reject(new BusError("STORAGE_UNAVAILABLE", "nobody answers"));
    const status = await client.getStatus({});
    assert.deepEqual([status.nodes.length, status.channels, status.busiestChannels], [1, 1, []]);
    log.state = () => Promise.reject(new Error("a bug"));
    assert.equal(reasonOf(await client.getStatus({}).catch((error: unknown) => error)), "INTERNAL");
    log.state = state;
    assert.equal((await client.getStatus({})).busiestChannels.length, 1);
  });

  it("GetStatus shows every node that runs, this one first", async () => {
    const backend = createBackend("shared");
    const other = await openNode(backend, { nodeId: "another" });
    const { client } = await open(backend);
    const startedAtMs = backend.clock.now() - 5_000;
    other.nodes.reportWith(() => ({
      ...ACTIVITY,
      serving: false,
      problems: ["draining"],
      version: "1.2.2",
      startedAtMs,
      storage: "redis",
    }));
    await pass(backend, 10_000);
    const { nodes } = await client.getStatus({});
    assert.deepEqual(
      nodes.map(({ nodeId, version, serving, problems, published, storage, uptimeDuration }) => [
        nodeId,
        version,
        serving,
        problems[0],
        published,
        storage,
        uptimeDuration?.seconds,
      ]),
      [
        ["message-broker-1", "1.2.3", true, "storage is slow", 4n, "file", 70n],
        ["another", "1.2.2", false, "draining", 4n, "redis", 15n],
      ],
    );
    await other.close();
    await pass(backend, 50);
    assert.equal((await client.getStatus({})).nodes.length, 1);
  });

  it("GetMetrics hands on the JSON of /metrics.json", async () => {
    assert.equal((await (await open()).client.getMetrics({})).json, '{"counters":{}}');
  });

  it("Drain is for administrators", async () => {
    const { client, drained } = await open();
    await assert.rejects(client.drain({}), (error) => reasonOf(error) === "ADMIN_ONLY");
    const headers = { authorization: "admin" };
    await client.drain({}, { headers });
    await client.drain({ graceDuration: { seconds: 2n } }, { headers });
    assert.deepEqual(drained, [undefined, 2_000]);
  });
});
