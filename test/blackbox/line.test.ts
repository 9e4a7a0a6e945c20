import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, it, onTestFinished } from "vitest";
import {
  type ConnectRequest,
  ConnectRequestSchema,
  type ConnectResponse,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { waitUntil, within } from "../support/wait.ts";
import { openClients, type WireOptions } from "../support/wire-clients.ts";
import { unique, useBus } from "./shared-bus.ts";

const bus = useBus();

type Request = NonNullable<MessageInitShape<typeof ConnectRequestSchema>["request"]>;

/** One full-duplex line: what is sent when the test says so, and everything that came back. */
function openLine(wire: WireOptions, agentId: string) {
  const clients = openClients(bus().url, wire);
  onTestFinished(() => clients.close());
  const queue: ConnectRequest[] = [];
  let wake = Promise.withResolvers<void>();
  let ended = false;
  async function* requests(): AsyncGenerator<ConnectRequest> {
    for (;;) {
      const next = queue.shift();
      if (next !== undefined) yield next;
      else if (ended) return;
      else {
        await wake.promise;
        wake = Promise.withResolvers();
      }
    }
  }
  const responses: ConnectResponse[] = [];
  const over = (async () => {
    for await (const response of clients.bus.connect(requests())) responses.push(response);
  })();
  over.catch(() => {});
  const line = {
    responses,
    send(requestId: number, request: Request): void {
      queue.push(create(ConnectRequestSchema, { requestId, request }));
      wake.resolve();
    },
    end(): Promise<void> {
      ended = true;
      wake.resolve();
      return within(over, { what: "the line to end" });
    },
    /** How many messages a subscription brought so far. */
    brought: (subscription: number) =>
      responses
        .filter(({ requestId }) => requestId === subscription)
        .flatMap(({ response }) => (response.case === "delivery" ? response.value.messages : [])).length,
    has: (requestId: number, kind: ConnectResponse["response"]["case"]) =>
      waitUntil(() => responses.some((it) => it.requestId === requestId && it.response.case === kind), {
        what: () => `${kind} to ${requestId}; came ${responses.map((it) => `${it.requestId} ${it.response.case}`)}`,
      }),
  };
  line.send(1, { case: "hello", value: { agentId } });
  return line;
}

const WIRES: readonly (readonly [string, WireOptions])[] = [
  ["gRPC (fast path)", { protocol: "grpc" }],
  ["Connect JSON (portable path)", { protocol: "connect", binary: false }],
];

describe.each(WIRES)("S3-FR-001: one full-duplex line over %s", (_name, wire) => {
  it("speaks, listens, joins, leaves and beats, all at once, and each answer says to what", async () => {
    const line = openLine(wire, unique("agent"));
    const channel = { room: "lab", channel: unique("talk") };
    const key = `lab:${channel.channel}`;
    line.send(2, { case: "join", value: channel });
    line.send(3, { case: "subscribe", value: { channels: [key], echo: true } });
    line.send(4, { case: "publish", value: { ...channel, messages: [{}, {}] } });
    line.send(5, { case: "heartbeat", value: {} });
    line.send(6, { case: "publish", value: { ...channel, messages: [{ name: "x".repeat(200) }] } });
    line.send(7, { case: "leave", value: channel });
    line.send(8, { case: "subscribe", value: { channels: [key], maxMessages: -1 } });
    for (const id of [2, 5, 7]) await line.has(id, "done");
    await line.has(1, "welcome");
    await line.has(4, "published");
    await waitUntil(() => line.brought(3) === 2);
    for (const [id, field] of [
      [6, "messages[0].name"],
      [8, "max_messages"],
    ] as const) {
      await line.has(id, "error");
      const { response } = line.responses.find(({ requestId }) => requestId === id)!;
      assert.ok(response.case === "error");
      const { reason, message, fieldViolations } = response.value;
      assert.equal(reason, "INVALID_FIELD", message);
      assert.deepEqual(
        fieldViolations.map((violation) => violation.field),
        [field],
        "S3-E.1: what a unary call tells, too",
      );
      assert.notEqual(fieldViolations[0]!.description, "");
    }
    await line.end();
  });

  it("keeps what is under way in order, and answers it before it ends", async () => {
    const line = openLine(wire, unique("agent"));
    const channel = { room: "lab", channel: unique("talk") };
    const ids = Array.from({ length: 200 }, (_, i) => i + 10);
    for (const id of ids) line.send(id, { case: "publish", value: { ...channel, messages: [{}] } });
    await line.end();
    const published = line.responses.flatMap(({ requestId, response }) =>
      response.case === "published" ? [[requestId, Number(response.value.results[0]!.position.split(".").at(-1))]] : [],
    );
    assert.deepEqual(
      published,
      ids.map((id, i) => [id, i + 1]),
    );
  });

  it("a subscription without credit waits; the others and the answers go on", async () => {
    const line = openLine(wire, unique("agent"));
    using publisher = openClients(bus().url);
    const [flood, trickle] = [unique("flood"), unique("trickle")];
    line.send(2, { case: "subscribe", value: { channels: [`lab:${flood}`] } });
    line.send(3, { case: "subscribe", value: { channels: [`lab:${trickle}`] } });
    for (const id of [2, 3]) await line.has(id, "delivery");
    // 4 MB of a channel that starts with 1 MiB of credit.
    const text = { payload: { case: "text" as const, value: "x".repeat(10_000) } };
    for (let i = 0; i < 40; i++) {
      await publisher.bus.publish({ agentId: "loud", room: "lab", channel: flood, messages: Array(10).fill(text) });
    }
    await publisher.bus.publish({ agentId: "quiet", room: "lab", channel: trickle, messages: [{}] });
    await waitUntil(() => line.brought(3) === 1);
    line.send(4, { case: "publish", value: { room: "lab", channel: trickle, messages: [{}] } });
    await line.has(4, "published");
    const held = line.brought(2);
    assert.ok(held >= 100 && held < 200, `${held} messages of 10 KB came for 1 MiB of credit`);
    for (let credit = 0; credit < 4; credit++) {
      line.send(0, { case: "credit", value: { subscribeId: 2, bytes: 1_048_576 } });
    }
    await waitUntil(() => line.brought(2) === 400);
    await line.end();
  });

  it("is refused what needs a hello first, and another agent's name later", async () => {
    const agentId = unique("agent");
    const line = openLine(wire, agentId);
    line.send(2, { case: "hello", value: { agentId } });
    line.send(3, { case: "heartbeat", value: { agentId: "somebody-else" } });
    await line.has(3, "error");
    const reasons = line.responses.flatMap(({ response }) =>
      response.case === "error" ? [response.value.reason] : [],
    );
    assert.deepEqual(reasons, ["MALFORMED_REQUEST", "AGENT_NOT_ALLOWED"]);
    await line.end();
  });
});
