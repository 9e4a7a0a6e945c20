import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeAll, describe, it } from "vitest";
import { failed } from "../../support/failure.ts";
import { openClients, type Protocol, type WireClients, type WireOptions } from "../../support/wire-clients.ts";
import { useBus } from "../shared-bus.ts";
import { assertReason } from "./provoked.ts";

const KEYS = { alice: "bus_alice", team: "bus_team", admin: "bus_admin" };
const sha256 = (key: string) => createHash("sha256").update(key).digest("hex");

export const API_KEYS = JSON.stringify([
  { name: "alice's", sha256: sha256(KEYS.alice), agents: ["alice"] },
  { name: "the team's", sha256: sha256(KEYS.team), agents: ["team-*"] },
  { name: "the operator's", sha256: sha256(KEYS.admin), agents: ["*"], admin: true },
]);

const PROTOCOLS: readonly { readonly name: string; readonly wire: WireOptions & { protocol: Protocol } }[] = [
  { name: "gRPC", wire: { protocol: "grpc" } },
  { name: "gRPC-Web over HTTP/1.1", wire: { protocol: "grpc-web", httpVersion: "1.1" } },
  { name: "Connect", wire: { protocol: "connect" } },
  { name: "Connect JSON over HTTP/1.1", wire: { protocol: "connect", binary: false, httpVersion: "1.1" } },
];

/** Who may do what, with API keys. */
export function describeAccess(): void {
  const bus = useBus({ args: ["--set", `auth.apiKeys=${API_KEYS}`] });
  const open = (wire: WireOptions, apiKey?: string) =>
    openClients(bus().url, { ...wire, ...(apiKey === undefined ? {} : { apiKey }) });
  const text = { payload: { case: "text" as const, value: "hi" } };
  const channel = { room: "lab", channel: "notes" };

  beforeAll(async () => {
    using operator = open({}, KEYS.admin);
    for (const agentId of ["alice", "bob"]) await operator.agents.registerAgent({ agent: { agentId } });
  });

  describe.each(PROTOCOLS)("S1-6b: access by API key over $name", ({ wire }) => {
    const first = async (stream: AsyncIterable<unknown>) => {
      for await (const response of stream) return response;
      return undefined;
    };
    const calls = (agentId: string) => ({
      Publish: (clients: WireClients) => clients.bus.publish({ agentId, ...channel, messages: [text] }),
      Subscribe: (clients: WireClients) => first(clients.bus.subscribe({ agentId, channels: ["lab:notes"] })),
      Fetch: (clients: WireClients) => clients.bus.fetch({ agentId, ...channel }),
      JoinChannel: (clients: WireClients) => clients.rooms.joinChannel({ agentId, ...channel }),
      DisconnectAgent: (clients: WireClients) => clients.agents.disconnectAgent({ agentId }),
    });

    it.each(Object.entries(calls("alice")))(
      "without a key, or with a wrong one, %s is UNAUTHENTICATED",
      async (_, call) => {
        for (const key of [undefined, "bus_wrong", "", "x".repeat(2_000)]) {
          using clients = open(wire, key);
          assertReason(await failed(call(clients)), "UNAUTHENTICATED");
        }
      },
    );

    it.each(Object.entries(calls("bob")))("%s for another agent is AGENT_NOT_ALLOWED", async (_, call) => {
      for (const key of [KEYS.alice, KEYS.team]) {
        using clients = open(wire, key);
        assertReason(await failed(call(clients)), "AGENT_NOT_ALLOWED");
      }
    });

    it("a key of one agent speaks for it when the request names nobody", async () => {
      using clients = open(wire, KEYS.alice);
      const { results } = await clients.bus.publish({ ...channel, messages: [text] });
      const found = await clients.bus.getMessage({ which: { case: "position", value: results[0]!.position } });
      assert.equal(found.message!.sender, "alice");
    });

    it("a key of several agents must be told which", async () => {
      using clients = open(wire, KEYS.team);
      const failure = await failed(clients.bus.publish({ ...channel, messages: [text] }));
      assertReason(failure, "AGENT_ID_REQUIRED");
    });

    it("with keys, agents are registered, not made up: AGENT_NOT_FOUND", async () => {
      using clients = open(wire, KEYS.team);
      const failure = await failed(clients.bus.publish({ agentId: "team-new", ...channel, messages: [text] }));
      assertReason(failure, "AGENT_NOT_FOUND");
    });

    it("draining wants a key with admin: ADMIN_ONLY", async () => {
      using clients = open(wire, KEYS.alice);
      assertReason(await failed(clients.admin.drain({})), "ADMIN_ONLY");
    });
  });

  it("S1-6b: nothing was stored for anybody who was refused", async () => {
    using operator = open({}, KEYS.admin);
    const { agents } = await operator.agents.listAgents({});
    assert.deepEqual(
      agents.map(({ agentId }) => agentId),
      ["alice", "bob"],
    );
    const { messages } = await operator.bus.fetch({ agentId: "alice", ...channel });
    assert.ok(messages.every(({ sender }) => sender === "alice"));
    assert.equal(messages.length, PROTOCOLS.length);
  });

  it("S3-FR-007: pages: health is open, metrics want admin", async () => {
    const status = async (path: string, key?: string) => {
      const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
      return (await fetch(`${bus().url}${path}`, { headers })).status;
    };
    assert.deepEqual(await Promise.all(["/health", "/ready", "/version"].map((path) => status(path))), [200, 200, 200]);
    const keys = [undefined, KEYS.alice, KEYS.admin];
    assert.deepEqual(await Promise.all(keys.map((key) => status("/metrics", key))), [401, 403, 200]);
    assert.deepEqual(await Promise.all(keys.map((key) => status("/metrics.json", key))), [401, 403, 200]);
  });

  it("S1-6b: no log line has a key in it", () => {
    const text = JSON.stringify(bus().log);
    for (const key of Object.values(KEYS)) assert.ok(!text.includes(key));
  });
}
