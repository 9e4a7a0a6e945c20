import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, it, onTestFinished } from "vitest";
import { AgentState } from "../../gen/agentbus/v1/agent_pb.ts";
import type { WatchAgentsResponse } from "../../gen/agentbus/v1/agent_service_pb.ts";
import { startBus } from "../support/bus-process.ts";
import { scrape } from "../support/metrics.ts";
import { openTcpProxy } from "../support/tcp-proxy.ts";
import { waitUntil } from "../support/wait.ts";
import { openClients, type WireClients, type WireOptions } from "../support/wire-clients.ts";
import { unique, useBus } from "./shared-bus.ts";

const bus = useBus({ args: ["--set", "agents.lease=1s"] });

const stateOf = async ({ agents }: WireClients, agentId: string) => (await agents.getAgent({ agentId })).agent!.state;

/** Nobody reads, nobody calls but the scrape itself. */
async function quiet(url: string): Promise<boolean> {
  const counted = await scrape(url);
  return counted.sum("agentbus_subscriptions") === 0 && counted.sum("agentbus_calls_in_flight") <= 1;
}

/** Opens a subscription; the answered function takes it back. */
async function subscribed({ bus: service }: WireClients, agentId: string): Promise<() => void> {
  const left = new AbortController();
  const request = { agentId, channels: ["lab:notes"] };
  const stream = service.subscribe(request, { signal: left.signal })[Symbol.asyncIterator]();
  await stream.next();
  stream.next().catch(() => {}); // told when it is over
  return () => left.abort();
}

describe("S3-US1.3: a peer that goes without a word", () => {
  it("killed with -9: its subscription goes, and it is offline when its lease is over", async () => {
    using clients = openClients(bus().url);
    const agentId = unique("victim");
    const program = fileURLToPath(new URL("reader-process.ts", import.meta.url));
    const reader = fork(program, [bus().url, agentId]);
    onTestFinished(() => void reader.kill("SIGKILL"));
    await once(reader, "message");
    assert.equal(await stateOf(clients, agentId), AgentState.ONLINE);
    reader.kill("SIGKILL");
    await waitUntil(() => quiet(bus().url));
    await waitUntil(async () => (await stateOf(clients, agentId)) === AgentState.OFFLINE);
    await bus().waitForLog(({ msg }) => msg.includes(`Agent ${agentId} connected`), "that it came");
    await bus().waitForLog(({ msg }) => msg.includes(`Agent ${agentId} disconnected`), "that it went");
  });

  it("vanished without FIN: cut because it answers no PING", async () => {
    // Of its own: a busy client of another test might not answer so soon.
    await using impatient = await startBus({
      args: ["agents.lease=1s", "server.pingInterval=200ms", "server.pingTimeout=2s"].flatMap((set) => ["--set", set]),
    });
    const proxy = await openTcpProxy({ targetPort: impatient.port });
    onTestFinished(() => proxy.close());
    const cuts = async () => (await scrape(impatient.url)).sum("agentbus_connections_unresponsive_total");
    using far = openClients(`http://${proxy.host}:${proxy.port}`);
    using near = openClients(impatient.url);
    const agentId = unique("vanished");
    await subscribed(far, agentId);
    assert.equal(await cuts(), 0);
    for (const link of proxy.links) link.stall();
    await waitUntil(async () => (await cuts()) > 0);
    await waitUntil(async () => (await stateOf(near, agentId)) === AgentState.OFFLINE);
    await waitUntil(() => quiet(impatient.url));
  });

  it("took its call back: offline at once, without waiting for the lease", async () => {
    using clients = openClients(bus().url);
    const agentId = unique("polite");
    const leave = await subscribed(clients, agentId);
    const watch = clients.agents.watchAgents({ agentIds: [agentId], skipCurrent: true })[Symbol.asyncIterator]();
    await watch.next();
    leave();
    const { value } = await watch.next();
    assert.deepEqual(
      (value as WatchAgentsResponse).changes.map(({ agent }) => agent!.state),
      [AgentState.OFFLINE],
    );
  });
});

describe("S2-R.4: nothing outlives its call", () => {
  const WIRES: readonly (readonly [string, WireOptions])[] = [
    ["gRPC", { protocol: "grpc" }],
    ["gRPC-Web over HTTP/1.1", { protocol: "grpc-web", httpVersion: "1.1" }],
    ["Connect JSON", { protocol: "connect", binary: false }],
  ];
  const OPENS = 1_000;
  const AT_ONCE = 25;
  const CONNECTIONS = 5;

  it.each(WIRES)(`${OPENS} streams over %s, opened and left, leave none behind`, async (_, wire) => {
    // Several connections: who takes calls back by the thousand on one is cut off, as an attacker would be.
    const connections = Array.from({ length: CONNECTIONS }, () => openClients(bus().url, wire));
    onTestFinished(() => connections.forEach((connection) => void connection.close()));
    const calls: readonly ((clients: WireClients, signal: AbortSignal) => AsyncIterable<unknown>)[] = [
      (clients, signal) => clients.bus.subscribe({ agentId: "hasty", channels: ["lab:notes"] }, { signal }),
      (clients, signal) => clients.bus.subscribe({ agentId: "hasty", patterns: ["**"] }, { signal }),
      (clients, signal) => clients.agents.watchAgents({ skipCurrent: true }, { signal }),
      (clients, signal) => clients.rooms.watchRoom({ room: "lab" }, { signal }),
    ];
    let opened = 0;
    let refused = 0;
    const worker = async () => {
      while (opened < OPENS) {
        const number = opened++;
        const left = new AbortController();
        // Some leave before they are answered, the others after. An abort is the one way to take a call back:
        // leaving the loop alone does not end a call of Connect's clients.
        if (number % 5 === 0) left.abort();
        try {
          const clients = connections[number % CONNECTIONS]!;
          for await (const _ of calls[number % calls.length]!(clients, left.signal)) left.abort();
        } catch (error) {
          // The server has not got round to the ends of earlier ones: HTTP/2 says that this one was not begun. Once more.
          if (String(error).includes("REFUSED_STREAM") && refused++ < OPENS) opened--;
          else assert.ok(left.signal.aborted, String(error));
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    await waitUntil(() => quiet(bus().url), { timeoutMs: 60_000 });
    using control = openClients(bus().url);
    const { nodes } = await control.admin.getStatus({});
    assert.equal(nodes[0]!.subscriptions, 0);
    // This call itself.
    await waitUntil(async () => (await control.admin.getStatus({})).nodes[0]!.streams <= 1);
    const { channel } = await control.rooms.getChannel({ room: "lab", channel: "notes" });
    assert.equal(channel!.subscriptionCount, 0);
    await waitUntil(async () => (await stateOf(control, "hasty")) === AgentState.OFFLINE);
  });

  it("long polls that are given up are not waited for", async () => {
    using clients = openClients(bus().url);
    await clients.bus.publish({ agentId: "poller", room: "lab", channel: "polled", messages: [{}] });
    const { channel } = await clients.rooms.getChannel({ room: "lab", channel: "polled" });
    const start = { case: "position" as const, value: channel!.headPosition };
    const left = new AbortController();
    const request = { agentId: "poller", room: "lab", channel: "polled", start, waitDuration: { seconds: 60n } };
    const polls = Array.from({ length: 50 }, () => clients.bus.fetch(request, { signal: left.signal }));
    const waiting = async () =>
      (await clients.rooms.getChannel({ room: "lab", channel: "polled" })).channel!.subscriptionCount;
    await waitUntil(async () => (await waiting()) === polls.length);
    left.abort();
    for (const outcome of await Promise.allSettled(polls)) assert.equal(outcome.status, "rejected");
    await waitUntil(async () => (await waiting()) === 0);
  });
});
