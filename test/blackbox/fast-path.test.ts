import assert from "node:assert/strict";
import { beforeAll, describe, it } from "vitest";
import { scrape } from "../support/metrics.ts";
import { openClients, type WireClients, type WireOptions } from "../support/wire-clients.ts";
import { unique, useBus } from "./shared-bus.ts";

const bus = useBus();

interface Case {
  readonly name: string;
  readonly wire: WireOptions;
  /** Whether client streams go over it. */
  readonly bidi: boolean;
}

const FAST: readonly Case[] = [
  { name: "gRPC", wire: { protocol: "grpc" }, bidi: true },
  { name: "gRPC-Web over h2c", wire: { protocol: "grpc-web" }, bidi: true },
  { name: "gRPC-Web over HTTP/1.1", wire: { protocol: "grpc-web", httpVersion: "1.1" }, bidi: false },
  { name: "Connect binary over h2c", wire: { protocol: "connect" }, bidi: true },
  { name: "Connect binary over HTTP/1.1", wire: { protocol: "connect", httpVersion: "1.1" }, bidi: false },
];

const PORTABLE: readonly Case[] = [
  { name: "Connect JSON over h2c", wire: { protocol: "connect", binary: false }, bidi: true },
  { name: "Connect JSON over HTTP/1.1", wire: { protocol: "connect", binary: false, httpVersion: "1.1" }, bidi: false },
  { name: "gRPC JSON", wire: { protocol: "grpc", binary: false }, bidi: true },
  { name: "gRPC-Web JSON", wire: { protocol: "grpc-web", binary: false }, bidi: true },
  { name: "gRPC with compressed requests", wire: { protocol: "grpc", compress: true }, bidi: true },
  { name: "Connect with compressed requests", wire: { protocol: "connect", compress: true }, bidi: true },
];

const text = { payload: { case: "text" as const, value: "x".repeat(2_000) } };

/** One call of each hot method; answers when each is over. */
async function callAll({ bus: service }: WireClients, bidi: boolean): Promise<void> {
  const agentId = unique("agent");
  const channel = { room: "lab", channel: unique("channel") };
  await service.publish({ agentId, ...channel, messages: [text] });
  const key = `${channel.room}:${channel.channel}`;
  for await (const { messages } of service.subscribe({
    agentId: "reader",
    channels: [key],
    start: { case: "earliest", value: true },
  })) {
    if (messages.length > 0) break;
  }
  if (!bidi) return;
  async function* publishes() {
    yield { requestId: 1, publish: { agentId, ...channel, messages: [text] } };
  }
  for await (const { result } of service.publishStream(publishes())) assert.equal(result.case, "published");
  async function* hello() {
    yield { requestId: 1, request: { case: "hello" as const, value: { agentId } } };
  }
  for await (const { response } of service.connect(hello())) assert.equal(response.case, "welcome");
}

/** How many calls of a method took a path since the start. */
async function started(method: string, path: string): Promise<number> {
  return (await scrape(bus().url)).sum("agentbus_rpc_started_total", { method: `BusService/${method}`, path });
}

const methods = (bidi: boolean) => ["Publish", "Subscribe", ...(bidi ? ["PublishStream", "Connect"] : [])];

async function pathsTaken({ wire, bidi }: Case): Promise<Record<string, { fast: number; portable: number }>> {
  const count = async () =>
    Promise.all(
      methods(bidi).map(async (method) => ({
        method,
        fast: await started(method, "fast"),
        portable: await started(method, "portable"),
      })),
    );
  const before = await count();
  using clients = openClients(bus().url, wire);
  await callAll(clients, bidi);
  const after = await count();
  return Object.fromEntries(
    after.map(({ method, fast, portable }, i) => [
      method,
      { fast: fast - before[i]!.fast, portable: portable - before[i]!.portable },
    ]),
  );
}

const expected = (bidi: boolean, taken: { fast: number; portable: number }) =>
  Object.fromEntries(methods(bidi).map((method) => [method, taken]));

describe("U-6: the hot methods", () => {
  // The first scrape makes the series.
  beforeAll(async () => void (await scrape(bus().url)));

  it.each(FAST)("take the fast path over $name", async (test) => {
    assert.deepEqual(await pathsTaken(test), expected(test.bidi, { fast: 1, portable: 0 }));
  });

  it.each(PORTABLE)("take the portable path over $name", async (test) => {
    assert.deepEqual(await pathsTaken(test), expected(test.bidi, { fast: 0, portable: 1 }));
  });
});
