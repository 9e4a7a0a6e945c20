import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { openBus } from "../../../test/support/bus-fixture.ts";
import { recordingLogger } from "../../../test/support/registry-fixture.ts";
import { BusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import { type DeclaredRoom, DeclaredRooms } from "./declared-rooms.ts";

const declared: readonly DeclaredRoom[] = [
  {
    room: "science",
    description: "what we know",
    metadata: {},
    defaults: { maxMembers: 5 },
    autoCreateChannels: false,
    channels: [{ channel: "explore", description: "", metadata: { topic: "all" }, config: {} }],
  },
  { room: "chat", description: "", metadata: {}, defaults: {}, channels: [] },
];
const explore = channelName("science", "explore");

describe("declared rooms", () => {
  it("S3-K.3: are there after the start, and again after the next one", async () => {
    const bus = await openBus();
    for (let start = 0; start < 2; start++) {
      const rooms = new DeclaredRooms(bus.rooms, declared, bus.clock, bus.logger);
      await rooms.create(true);
      assert.equal(rooms.problem, undefined);
    }
    assert.deepEqual({ ...bus.rooms.counts }, { rooms: 2, channels: 1 });
    assert.equal(bus.rooms.channel(explore.key)?.config.maxMembers, 5);
  });

  it("that were changed at run time stay as they were changed", async () => {
    const bus = await openBus();
    const rooms = new DeclaredRooms(bus.rooms, declared, bus.clock, bus.logger);
    await rooms.create(true);
    await bus.rooms.updateRoom("science", { defaults: { maxMembers: 7 } });
    await bus.rooms.updateChannel(explore, { metadata: { topic: "some" } });
    await rooms.create(true);
    assert.equal(bus.rooms.channel(explore.key)?.config.maxMembers, 7);
    assert.deepEqual(bus.rooms.channelRecord(explore.key)?.record.metadata, { topic: "some" });
  });

  it("S3-E.3: that cannot be created are tried again with growing delays, and said to be missing", async () => {
    const bus = await openBus();
    let away = true;
    let attempts = 0;
    const flaky = {
      ...bus.rooms,
      createRoom: async (room: Parameters<typeof bus.rooms.createRoom>[0]) => {
        attempts++;
        if (away) throw new BusError("STORAGE_UNAVAILABLE", "the disk is asleep");
        return await bus.rooms.createRoom(room);
      },
    };
    const rooms = new DeclaredRooms(flaky, declared, bus.clock, recordingLogger([]));
    await rooms.create(false);
    assert.match(rooms.problem ?? "", /the disk is asleep/);
    for (let second = 0; second < 60; second++) {
      bus.clock.advance(1_000);
      await bus.settle();
    }
    assert.ok(attempts >= 8 && attempts <= 16, `${attempts} attempts in a minute`);
    away = false;
    bus.clock.advance(10_000);
    await bus.settle();
    assert.deepEqual([rooms.problem, bus.rooms.counts.rooms], [undefined, 2]);
    const done = attempts;
    bus.clock.advance(60_000);
    await bus.settle();
    assert.equal(attempts, done);
  });

  it("S3-E.3: strict: the start fails", async () => {
    const bus = await openBus();
    const broken = { ...bus.rooms, createRoom: () => Promise.reject(new BusError("STORAGE_UNAVAILABLE", "away")) };
    await assert.rejects(new DeclaredRooms(broken, declared, bus.clock, bus.logger).create(true));
  });

  it("are not tried again once closed", async () => {
    const bus = await openBus();
    let attempts = 0;
    const broken = {
      ...bus.rooms,
      createRoom() {
        attempts++;
        return Promise.reject(new BusError("STORAGE_UNAVAILABLE", "away"));
      },
    };
    const rooms = new DeclaredRooms(broken, declared, bus.clock, recordingLogger([]));
    await rooms.create(false);
    rooms.close();
    bus.clock.advance(60_000);
    await bus.settle();
    assert.equal(attempts, 1);
  });
});
