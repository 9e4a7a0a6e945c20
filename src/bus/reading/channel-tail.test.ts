import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, it } from "vitest";
import { SubscribeResponseSchema } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { DEFAULT_LIMITS } from "../../core/bus-options.ts";
import type { LogEntry } from "../../core/message.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { createMessageCodec } from "../../wire/message-codec.ts";
import { ChannelTail } from "./channel-tail.ts";

const codec = createMessageCodec(DEFAULT_LIMITS);
const entry = (sequence: number, part: Partial<LogEntry> = {}): LogEntry => ({
  sequence,
  epoch: 7,
  acceptedAtMs: 1_000,
  expiresAtMs: 0,
  id: "",
  sender: "alice",
  audience: null,
  body: Buffer.from([0x50, 1]),
  ...part,
});
const entries = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => entry(from + i));
const bytesOf = (from: number, to: number) =>
  codec.seal(entries(from, to)).reduce((sum, { length }) => sum + length, 0);
const open = (maxFrameBytes = 1_000_000) => new ChannelTail("a:b", codec, maxFrameBytes);
const sequencesOf = (frame: Uint8Array) =>
  fromBinary(SubscribeResponseSchema, frame.subarray(FRAME_HEADER_BYTES)).messages.map(({ sequence }) =>
    Number(sequence),
  );

describe("a channel's tail", () => {
  it("gives what comes after any sequence that it covers, whatever was pushed and trimmed", () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 40 }) }),
      fc.record({ trim: fc.integer({ min: 0, max: 2_000 }) }),
      fc.constant({ clear: true }),
      fc.record({ jump: fc.integer({ min: 0, max: 5 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.nat(), (steps, where) => {
        const tail = open();
        let first = 1; // the model: sequences first to head are held
        let head = 0;
        for (const one of steps) {
          if ("push" in one) {
            tail.push(entries(head + 1, head + one.push));
            head += one.push;
          } else if ("trim" in one) {
            tail.trim(one.trim);
            while (bytesOf(first, head) > one.trim) first++;
          } else if ("jump" in one) {
            tail.startAt(head + one.jump);
            if (one.jump > 0) first = head + one.jump + 1;
            head += one.jump;
          } else {
            tail.clear();
            first = head + 1;
          }
          assert.equal(tail.head, head);
          for (const after of [first - 2, first - 1, head]) {
            if (after >= 0) assert.equal(tail.covers(after), after + 1 >= first, `${after} of ${first} to ${head}`);
          }
          const size = head - first + 1;
          assert.equal(tail.bytes, bytesOf(first, head));
          if (size === 0) continue;
          const after = first - 1 + (where % size);
          const range = tail.range(after);
          assert.deepEqual(
            sequencesOf(range.frame),
            entries(after + 1, head).map(({ sequence }) => sequence),
          );
          assert.deepEqual([range.count, range.end], [head - after, head]);
          assert.equal(tail.entry(after + 1)?.sequence, after + 1);
          assert.equal(tail.entry(head + 1), undefined);
        }
      }),
    );
  });

  // Up to 511 removed entries were kept, of a megabyte each at worst.
  it("lets go of the memory of what it removed", () => {
    const tail = open();
    let kept = 0;
    for (let i = 1; i <= 200; i++) {
      tail.push([entry(i)]);
      tail.trim(tail.sealed(i).length * 3);
    }
    for (let sequence = 1; sequence <= 200; sequence++) if (tail.entry(sequence) !== undefined) kept++;
    assert.ok(kept <= 6, `${kept} entries are kept for 3`);
  });

  it("says of a range what decides whether a reader may have it as it is", () => {
    const tail = open();
    tail.push([
      entry(1),
      entry(2, { sender: "bob", expiresAtMs: 50 }),
      entry(3, { expiresAtMs: 40 }),
      entry(4, { audience: ["bob"] }),
    ]);
    const all = tail.range(0);
    assert.deepEqual(
      [all.open, [...all.senders], all.expiresAtMs, all.end, all.epoch],
      [false, ["alice", "bob"], 40, 4, 7],
    );
    tail.push([entry(5)]);
    assert.equal(tail.range(4).open, true);
    assert.equal(tail.range(4).expiresAtMs, 0);
  });

  it("makes one frame for all who stand at one place, until something comes", () => {
    const tail = open();
    tail.push(entries(1, 3));
    assert.equal(tail.range(1), tail.range(1));
    const before = tail.range(1);
    tail.push(entries(4, 4));
    assert.notEqual(tail.range(1), before);
    assert.deepEqual(sequencesOf(tail.range(1).frame), [2, 3, 4]);
  });

  it("keeps few ranges finished, however many places readers stand at", () => {
    const tail = open();
    tail.push(entries(1, 100));
    for (let after = 0; after < 100; after++) assert.equal(tail.range(after).end, 100);
    assert.equal(tail.range(0), tail.range(0));
    assert.notEqual(tail.range(99), tail.range(99));
  });

  it("ends a range where a frame is full, with one entry at least", () => {
    const tail = open(50);
    tail.push([
      entry(1, { body: Buffer.concat(Array.from({ length: 100 }, () => Buffer.from([0x50, 1]))) }),
      ...entries(2, 6),
    ]);
    assert.equal(tail.range(0).end, 1);
    assert.ok(tail.range(1).end < 6 && tail.range(1).count >= 1);
  });
});
