import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { GapCause, type SubscribeResponse } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { waitUntil } from "../support/wait.ts";
import { openClients, type WireOptions } from "../support/wire-clients.ts";
import { unique, useBus } from "./shared-bus.ts";

const RING = 4_000;
const bus = useBus({ args: ["--set", `storage.memory.ringSize=${RING}`] });

const WIRES: readonly (readonly [string, WireOptions])[] = [
  ["gRPC (fast path)", { protocol: "grpc" }],
  ["gRPC-Web over HTTP/1.1 (fast path)", { protocol: "grpc-web", httpVersion: "1.1" }],
  ["Connect JSON (portable path)", { protocol: "connect", binary: false }],
];

const TEXT = "x".repeat(10_000);
const BATCH = 50;
/** Far more than what sockets and HTTP/2 windows hold. */
const BATCHES = 60;
/** Published while the reader stands still: 30 MB. What the store keeps of it, and much else, fits below. */
const MAX_GROWTH_BYTES = 150 * 1024 * 1024;

/** Resident memory of the server, as the system counts it. */
function residentBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, "utf8").split(" ")[1]);
  return pages * 4_096;
}

const hasProc = process.platform === "linux";

describe("S4-8c: a reader that stops reading", () => {
  it.each(WIRES)(
    "over %s: costs bounded memory, slows nobody, and then reads on or is told the Gap",
    async (_name, wire) => {
      const channel = { room: "lab", channel: unique("flood") };
      const key = `lab:${channel.channel}`;
      using slow = openClients(bus().url, wire);
      using others = openClients(bus().url);
      const stalled = slow.bus.subscribe({ agentId: "slow", channels: [key] })[Symbol.asyncIterator]();
      const read = async (): Promise<SubscribeResponse> => (await stalled.next()).value;
      await read(); // open; from here on nobody reads it

      let seen = 0;
      const reading = (async () => {
        for await (const { messages } of others.bus.subscribe({ agentId: "quick", channels: [key] })) {
          seen += messages.length;
          if (seen === BATCH * BATCHES) return;
        }
      })();
      await waitUntil(async () => {
        const { subscriptionCount = 0 } = (await others.rooms.getChannel(channel)).channel ?? {};
        return subscriptionCount === 2;
      });
      const publish = async (batches: number) => {
        const messages = Array.from({ length: BATCH }, () => ({ payload: { case: "text" as const, value: TEXT } }));
        for (let i = 0; i < batches; i++) await others.bus.publish({ agentId: "loud", ...channel, messages });
      };
      const before = hasProc ? residentBytes(bus().pid) : 0;
      await publish(BATCHES);
      await reading; // the quick one has everything while the slow one stands
      if (hasProc) {
        const grown = residentBytes(bus().pid) - before;
        assert.ok(grown < MAX_GROWTH_BYTES, `the server grew by ${Math.round(grown / 1e6)} MB`);
      }

      // Back again: all that was kept, in order, each once.
      const sequences: number[] = [];
      while (sequences.length < BATCH * BATCHES) {
        const { messages, gaps } = await read();
        assert.deepEqual(gaps, []);
        sequences.push(...messages.map(({ sequence }) => Number(sequence)));
      }
      assert.deepEqual(
        sequences,
        Array.from({ length: BATCH * BATCHES }, (_, i) => i + 1),
      );

      // Away for longer than the ring holds: what is gone is said, and the rest comes.
      await publish((2 * RING) / BATCH);
      let next = sequences.at(-1)! + 1;
      let missed = 0;
      const last = sequences.length + 2 * RING;
      while (next <= last) {
        const { messages, gaps } = await read();
        for (const { firstSequence, lastSequence, cause } of gaps) {
          assert.equal(Number(firstSequence), next);
          assert.equal(cause, GapCause.RETENTION);
          missed += Number(lastSequence) - next + 1;
          next = Number(lastSequence) + 1;
        }
        for (const { sequence } of messages) assert.equal(Number(sequence), next++);
      }
      assert.ok(missed > 0, "so much cannot have been kept");
    },
  );
});
