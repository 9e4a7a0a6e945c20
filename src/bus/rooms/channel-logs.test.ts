import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { overLog } from "../../../test/support/bus-fixture.ts";
import { away } from "../../../test/support/forgetful-log.ts";
import { createSharedBackend } from "../../../test/support/shared-backend.ts";
import { openTwo } from "../../../test/support/two-nodes.ts";
import { isBusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { ChannelRecord } from "../../core/room.ts";
import type { MessageLog } from "../../storage/message-log.ts";
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

  it("a log that the storage did not delete goes in a later round, unless the channel was created anew", async () => {
    let isAway = false;
    const wrapLog = (inner: MessageLog) =>
      overLog(inner, {
        delete: (...asked) => (isAway ? Promise.reject(away()) : inner.delete(...asked)),
      });
    const { a, backend, pass } = await openTwo(createSharedBackend({ wrapLog }));
    await a.say("alice", EXPLORE, "one");
    await a.say("alice", "science:again", "two");
    isAway = true;
    const again = channelName("science", "again");
    for (const name of [explore, again]) {
      await assert.rejects(a.rooms.deleteChannel(name), (error) => isBusError(error, "STORAGE_UNAVAILABLE"));
    }
    await a.say("alice", "science:again", "anew");
    await pass(20_000);
    assert.notEqual(await backend.log.state(explore), undefined);
    isAway = false;
    await pass(20_000);
    assert.equal(await backend.log.state(explore), undefined);
    assert.equal((await backend.log.state(again))!.incarnation, a.rooms.channel("science:again")!.incarnation);
  });
});
