import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { overLog } from "../../../test/support/bus-fixture.ts";
import { createSharedBackend } from "../../../test/support/shared-backend.ts";
import { openTwo } from "../../../test/support/two-nodes.ts";

const EXPLORE = "science:explore";

describe("the doorbell", () => {
  it("brings what another node stored at once", async () => {
    const { a, b } = await openTwo();
    const reader = await b.read({ channels: [EXPLORE] });
    await a.say("alice", EXPLORE, "1", "2");
    assert.deepEqual(await reader.take(), ["1", "2"]);
  });

  it("that loses every ring costs a second, never a message", async () => {
    const { backend, a, b, pass } = await openTwo();
    const reader = await b.read({ channels: [EXPLORE] });
    backend.ringFilter = ({ topic }) => topic !== "log";
    for (const text of ["1", "2", "3"]) await a.say("alice", EXPLORE, text);
    assert.deepEqual(await reader.take(), []);
    await pass(1_000);
    assert.deepEqual(await reader.take(), ["1", "2", "3"]);
    await a.say("alice", EXPLORE, "4");
    await b.say("bob", EXPLORE, "5");
    assert.deepEqual(await reader.take(), ["4", "5"], "in order, although the own one was known first");
  });

  it("that says that it missed rings makes every channel be looked at", async () => {
    const { backend, a, b, settle } = await openTwo();
    const reader = await b.read({ channels: [EXPLORE] });
    backend.ringFilter = ({ topic }) => topic !== "log";
    await a.say("alice", EXPLORE, "1");
    backend.tellMissed();
    await settle();
    assert.deepEqual(await reader.take(), ["1"]);
  });

  it("of one message that another reader's start overtakes still wakes those who wait", async () => {
    const { backend, a, b } = await openTwo();
    const reader = await b.read({ channels: [EXPLORE] });
    backend.ringFilter = ({ topic }) => topic !== "log";
    await a.say("alice", EXPLORE, "1");
    const other = await b.read({ agentId: "other", channels: [EXPLORE] });
    assert.deepEqual([await reader.take(), await other.take()], [["1"], []]);
  });

  it("that rings while the log is being read for an earlier ring is not forgotten", async () => {
    let hold: Promise<void> | undefined;
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async read(request) {
            const result = await log.read(request);
            await hold;
            return result;
          },
        }),
    });
    const { a, b } = await openTwo(backend);
    const reader = await b.read({ channels: [EXPLORE] });
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    await a.say("alice", EXPLORE, "1");
    await b.settle();
    await a.say("alice", EXPLORE, "2");
    await b.settle();
    held.resolve();
    assert.deepEqual(await reader.take(), ["1", "2"]);
  });
});

describe("the poll under it", () => {
  it("asks only for channels that nothing was heard of, and only while somebody reads", async () => {
    const asked: number[] = [];
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          ends: (names) => {
            asked.push(names.length);
            return log.ends(names);
          },
        }),
    });
    const { a, b, pass } = await openTwo(backend);
    await pass(2_000);
    assert.deepEqual(asked, [], "nobody reads");
    const reader = await b.read({ channels: [EXPLORE, "science:quiet"] });
    await a.say("alice", EXPLORE, "1");
    await reader.take();
    await pass(1_000);
    assert.deepEqual(asked, [1], "the quiet one");
    await pass(1_000);
    assert.deepEqual(asked, [1, 2], "heard of in the last second no more");
  });

  it("asks for many channels a page at a time, and not again while it waits", async () => {
    const asked: number[] = [];
    let hold: Promise<void> | undefined;
    const backend = createSharedBackend({
      wrapLog: (log) =>
        overLog(log, {
          async ends(names) {
            asked.push(names.length);
            await hold;
            return await log.ends(names);
          },
        }),
    });
    const { b, pass } = await openTwo(backend);
    for (const room of ["x", "y"]) {
      await b.read({ agentId: room, channels: Array.from({ length: 600 }, (_, i) => `${room}:c${i}`) });
    }
    const held = Promise.withResolvers<void>();
    hold = held.promise;
    await pass(3_000);
    assert.deepEqual(asked, [1_000]);
    backend.tellMissed();
    held.resolve();
    await pass(250);
    assert.deepEqual(asked, [1_000, 200, 1_000, 200], "all of them again, since rings were missed meanwhile");
  });
});
