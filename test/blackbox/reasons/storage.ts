import assert from "node:assert/strict";
import { mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, it } from "vitest";
import { GapCause } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { Durability } from "../../../gen/agentbus/v1/room_pb.ts";
import { type BusProcess, startBus } from "../../support/bus-process.ts";
import { failed, failureOf } from "../../support/failure.ts";
import { openClients } from "../../support/wire-clients.ts";
import { assertReason } from "./provoked.ts";

const text = (value: string) => ({ payload: { case: "text" as const, value } });
const MARK = "a sentence that stands once in the file";

/** Refusals that come from a durable storage. */
export function describeStorage(): void {
  let folder: string;
  let bus: BusProcess;
  const start = (...settings: readonly string[]) =>
    startBus({
      args: ["--storage", `file:${join(folder, "data")}`, ...settings.flatMap((setting) => ["--set", setting])],
    });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "agentbus-reasons-"));
    bus = await start("storage.file.maxBytes=4MiB", "limits.pendingPublishes=1");
  });
  afterAll(async () => {
    await bus.kill();
    await rm(folder, { recursive: true, force: true });
  });

  it("S0-3.2.2: a channel's durability is for ever: IMMUTABLE", async () => {
    using clients = openClients(bus.url);
    const channel = { room: "lab", channel: "notes" };
    await clients.rooms.createChannel({ channel, createRoom: true });
    const change = clients.rooms.updateChannel({
      channel: { ...channel, config: { durability: Durability.VOLATILE } },
      updateMask: { paths: ["config"] },
    });
    assertReason(await failed(change), "IMMUTABLE");
  });

  it("S4-8c: more waits for the storage than allowed: OVERLOADED, with a delay, and the retry is stored once", async () => {
    using clients = openClients(bus.url);
    const publish = (id: string) =>
      clients.bus.publish({ agentId: "alice", room: "lab", channel: "notes", messages: [{ ...text(id), id }] });
    const ids = Array.from({ length: 40 }, (_, i) => `crowd-${i}`);
    await publish(ids.pop()!); // from here on alice is known
    const outcomes = await Promise.allSettled(ids.map(publish));
    const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [failureOf(outcome.reason)] : []));
    assert.ok(refused.length > 0, "39 at once, and only one may wait");
    for (const failure of refused) {
      assertReason(failure, "OVERLOADED");
      assert.ok(failure.hasRetryDelay);
    }
    for (const [i, outcome] of outcomes.entries()) if (outcome.status === "rejected") await publish(ids[i]!);
    const { messages } = await clients.bus.fetch({
      agentId: "alice",
      room: "lab",
      channel: "notes",
      maxMessages: 1_000,
    });
    assert.deepEqual(messages.map(({ id }) => id).sort(), [...ids, "crowd-39"].sort(), "each once");
  });

  it("S2-R.3: a full storage: STORAGE_FULL, and what was acknowledged is there", async () => {
    using clients = openClients(bus.url);
    const channel = { room: "lab", channel: "heavy" };
    const acknowledged: string[] = [];
    const fill = async () => {
      for (let i = 0; i < 100; i++) {
        const id = `heavy-${i}`;
        await clients.bus.publish({ agentId: "alice", ...channel, messages: [{ ...text(id.repeat(20_000)), id }] });
        acknowledged.push(id);
      }
    };
    assertReason(await failed(fill()), "STORAGE_FULL");
    const found: string[] = [];
    for (let position = "", caughtUp = false; !caughtUp; ) {
      const from = position === "" ? {} : { start: { case: "position" as const, value: position } };
      const page = await clients.bus.fetch({ agentId: "alice", ...channel, ...from });
      found.push(...page.messages.map(({ id }) => id));
      ({ position, caughtUp } = page);
    }
    assert.deepEqual(found, acknowledged);
    await clients.rooms.deleteChannel(channel);
  });

  it("S2-R.3: a byte of the file that flipped: DATA_DAMAGED, and a Gap for readers", async () => {
    let position: string;
    {
      using clients = openClients(bus.url);
      const messages = [{ ...text(MARK), id: "marked" }];
      const { results } = await clients.bus.publish({ agentId: "alice", room: "lab", channel: "marked", messages });
      position = results[0]!.position;
    }
    await bus.stop();
    await flipByteBehind(join(folder, "data"), MARK);
    bus = await start();
    using clients = openClients(bus.url);
    const which = { case: "position" as const, value: position };
    assertReason(await failed(clients.bus.getMessage({ agentId: "alice", which })), "DATA_DAMAGED");
    const history = await clients.bus.fetch({ agentId: "alice", room: "lab", channel: "marked" });
    assert.deepEqual(
      history.gaps.map(({ cause }) => cause),
      [GapCause.DAMAGED],
    );
    assert.deepEqual(history.messages, []);
  });

  it("S0-2.1.4b: a second process is refused with a clear message", async () => {
    await assert.rejects(start(), /in use by another agentbus/);
  });
}

/** As a disk does it: somewhere in the text, without anybody being told. */
async function flipByteBehind(directory: string, mark: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    const at = (await readFile(path)).indexOf(mark);
    if (at < 0) continue;
    const file = await open(path, "r+");
    await file.write(Buffer.from("?"), 0, 1, at + 5);
    await file.close();
    return;
  }
  throw new Error(`no file of ${directory} has the text in it`);
}
