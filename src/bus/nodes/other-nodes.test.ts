import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import type { Directory, DirectoryRecord } from "../../storage/directory.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import { OtherNodes } from "./other-nodes.ts";

const LEASE_MS = 15_000;

function node(nodeId: string, instance: string, left = false): DirectoryRecord {
  const key = { kind: "node", id: instance };
  return {
    key,
    value: { nodeId, left },
    version: 1,
    expiresAtMs: Number.MAX_SAFE_INTEGER,
  } as unknown as DirectoryRecord;
}

/** What a node logs of the others while they come and go. */
async function watching(records: DirectoryRecord[]) {
  const lines: string[] = [];
  const tell = (level: string) => (_fields: object, text: string) => void lines.push(`${level}: ${text}`);
  const nodes = new OtherNodes({
    directory: { list: async () => records } as unknown as Directory,
    doorbell: { listen: () => () => {} } as unknown as Doorbell,
    clock: createFakeClock(),
    log: { debug: tell("debug"), info: tell("info"), warn: tell("warn"), error: tell("error") },
    leaseMs: LEASE_MS,
    storeNow: () => 0,
    nodeId: "a",
    isOwn: () => false,
  });
  await nodes.load();
  return {
    nodes,
    /** The lines since the last call. */
    async linesAfter(now: DirectoryRecord[]) {
      records.splice(0, records.length, ...now);
      lines.length = 0;
      await nodes.look();
      return [...lines];
    },
  };
}

describe("the log of other nodes", () => {
  it("warns of one whose lease ended, and notes one that left", async () => {
    const { nodes, linesAfter } = await watching([node("b", "b.1"), node("c", "c.1", true)]);
    assert.deepEqual(await linesAfter([]), [
      "warn: Node b is gone: it did not renew its lease",
      "info: Node c has left",
    ]);
    nodes.close();
  });

  it("does not call a node gone that joined anew: after an outage of the storage all of them did", async () => {
    const { nodes, linesAfter } = await watching([node("b", "b.1")]);
    assert.deepEqual(await linesAfter([node("b", "b.1"), node("b", "b.2")]), ["info: Node b is there"]);
    assert.deepEqual(await linesAfter([node("b", "b.2")]), ["debug: Node b goes on as another instance"]);
    assert.deepEqual(await linesAfter([]), ["warn: Node b is gone: it did not renew its lease"]);
    nodes.close();
  });
});
