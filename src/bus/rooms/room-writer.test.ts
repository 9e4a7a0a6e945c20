import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { overLog } from "../../../test/support/bus-fixture.ts";
import { createSharedBackend } from "../../../test/support/shared-backend.ts";
import { openTwo } from "../../../test/support/two-nodes.ts";
import { isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import { createSystemRandom } from "../../server/system-clock.ts";

const explore = channelName("science", "explore");
const wanted = { name: explore, description: "", metadata: {}, config: {} };

describe("a channel that is created where another one's log was left", () => {
  it("replaces it, although a clock made it that was ahead", async () => {
    const { uuid } = createSystemRandom();
    const { backend, a, b, settle } = await openTwo(createSharedBackend(), { uuid });
    // Left by a node that stopped while it deleted the channel.
    const left = uuid(backend.clock.now() + 3_600_000);
    await backend.log.create(explore, left, 1);
    await a.rooms.createChannel(wanted, true);
    await settle();
    const { incarnation } = (await backend.log.state(explore))!;
    assert.ok(incarnation > left);
    await b.say("alice", explore.key, "1");
    assert.equal((await backend.log.state(explore))!.head, 1);
  });
});

describe("a room that one node deletes while another creates a channel in it", () => {
  /** Holds what node b does when it has put the channel's record, before it makes the log. */
  async function openRace() {
    let hold: Promise<void> | undefined;
    const reached = Promise.withResolvers<void>();
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async create(...args) {
            reached.resolve();
            await hold;
            return await log.create(...args);
          },
        }),
    });
    const nodes = await openTwo(backend);
    await nodes.a.rooms.createRoom({ room: "science", description: "", metadata: {}, defaults: {} });
    await nodes.settle();
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    return { ...nodes, reached: reached.promise, release: () => held.resolve() };
  }

  it("leaves nothing: the deleting node finds what came late", async () => {
    const { backend, a, b, settle, reached, release } = await openRace();
    // Node a does not hear of the channel before it has looked for the room's channels.
    backend.ringFilter = ({ topic }) => topic !== "record";
    const creating = b.rooms.createChannel(wanted, false).then(
      () => "created",
      (error: unknown) => (isBusError(error) ? error.reason : String(error)),
    );
    await reached;
    await a.rooms.deleteRoom("science", false);
    release();
    await creating;
    backend.ringFilter = () => true;
    backend.tellMissed();
    await settle();
    assert.deepEqual(await backend.directory.list({ kind: "channel", limit: 100 }), []);
    assert.deepEqual(await backend.directory.list({ kind: "room", limit: 100 }), []);
  });

  it("leaves nothing: the creating node finds that the room is gone", async () => {
    const backend = createSharedBackend();
    const { a, b, settle } = await openTwo(backend);
    await a.rooms.createRoom({ room: "science", description: "", metadata: {}, defaults: {} });
    await settle();
    backend.ringFilter = ({ topic }) => topic !== "record";
    await a.rooms.deleteRoom("science", false);
    // Node b still knows the room.
    assert.ok(b.rooms.room("science"));
    await assert.rejects(b.rooms.createChannel(wanted, false), (error) => isBusError(error, "CONCURRENT_UPDATE"));
    assert.deepEqual(await backend.directory.list({ kind: "channel", limit: 100 }), []);
    await assert.rejects(b.rooms.createChannel(wanted, false), (error) => isBusError(error, "ROOM_NOT_FOUND"));
  });

  it("and that stops in between is cleaned up after by the one that sweeps", async () => {
    const { backend, a, b, settle, pass } = await openTwo();
    await b.rooms.createChannel(wanted, true);
    await settle();
    // The room's record is gone, and nothing else.
    const key = { kind: "room", parent: "", id: "science" };
    await backend.directory.delete(key);
    for (const node of [a, b]) node.storage.doorbell.ring({ topic: "record", key });
    await settle();
    await pass(20_000);
    assert.deepEqual(await backend.directory.list({ kind: "channel", limit: 100 }), []);
    assert.equal(await backend.log.state(explore), undefined);
  });
});

describe("a VOLATILE channel that is deleted", () => {
  it("takes its messages with it on every node", async () => {
    const { a, b, settle } = await openTwo();
    await a.rooms.createChannel({ ...wanted, config: { durability: "VOLATILE" } }, true);
    await a.say("alice", explore.key, "1");
    await settle();
    const { log } = b.rooms.channel(explore.key)!;
    assert.equal((await log.state(explore))!.head, 1);
    await a.rooms.deleteChannel(explore);
    await settle();
    assert.equal(await log.state(explore), undefined);
  });
});
