import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { openTwo } from "../../../test/support/two-nodes.ts";
import { channelName } from "../../core/names.ts";
import type { ChannelRecord } from "../../core/room.ts";
import { channelKey } from "../directory/record-keys.ts";

const EXPLORE = "science:explore";
const explore = channelName("science", "explore");

describe("a channel's record and its log", () => {
  // A cluster may lose the end of the records and not that of a log: every node then said for ever that the channel was
  // being deleted and created.
  it("the channel goes on with its log when its record was set back to one that was deleted", async () => {
    const { a, b, backend, settle } = await openTwo();
    await a.say("alice", EXPLORE, "of the first");
    const first = (await backend.directory.get(channelKey(explore)))!;
    await a.rooms.deleteChannel(explore);
    await a.say("alice", EXPLORE, "kept");
    await settle();
    const { incarnation } = a.rooms.channel(EXPLORE)!;
    await backend.directory.put(channelKey(explore), first.value);
    backend.tellMissed();
    await settle();
    for (const node of [a, b]) await node.say("alice", EXPLORE, `by ${node === a ? "a" : "b"}`);
    const record = (await backend.directory.get(channelKey(explore)))!.value as ChannelRecord;
    assert.equal(record.incarnation, incarnation);
    const reader = await b.read({ channels: [EXPLORE], start: { kind: "earliest" } });
    assert.deepEqual(await reader.take(), ["kept", "by a", "by b"]);
  });
});
