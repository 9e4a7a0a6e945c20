import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { afterEach, describe, it } from "vitest";
import { epochAt } from "../../src/core/epoch-chain.ts";
import type { LogEntry } from "../../src/core/message.ts";
import { append, INCARNATION, NAME, range, readAll, record, sequencesOf } from "../conformance/appending.ts";
import { createSeededRandom } from "../support/seeded-random.ts";
import { useDirectories } from "./file-fixture.ts";
import { type Ack, PublisherProcess } from "./publisher-process.ts";

const KILLS = 8;
const PRLIMIT = ["/usr/bin/prlimit", "/bin/prlimit"].find((path) => existsSync(path));

describe("a file storage and its process", () => {
  const directories = useDirectories();
  const running: PublisherProcess[] = [];
  afterEach(async () => {
    for (const publisher of running.splice(0)) await publisher.kill();
  });
  const start = (directory: string, first?: number, limitKiB?: number) => {
    const publisher = new PublisherProcess(directory, first, limitKiB);
    running.push(publisher);
    return publisher;
  };

  it("S0-2.1.4b: a second process is refused, told who has the directory, and let in when that one was killed", async () => {
    const directory = directories.fresh();
    const owner = start(directory);
    await owner.line(/^open/);
    const second = start(directory);
    const refusal = await second.line(/^refused/);
    assert.match(refusal, /STORAGE_UNAVAILABLE .* is in use by another agentbus/);
    assert.ok(refusal.includes(directory) && refusal.includes(`(process ${owner.child.pid})`), refusal);
    await assert.rejects(directories.open(directory), /is in use by another agentbus/);
    await owner.kill();
    const storage = await directories.open(directory);
    await assert.rejects(
      directories.open(directory),
      new RegExp(`in use by another agentbus \\(process ${process.pid}\\)`),
    );
    await storage.close();
    await (await directories.open(directory)).close();
  });

  it("S3-SC-003: nothing acknowledged is missing after kill -9, nothing is there twice", async () => {
    const directory = directories.fresh();
    const random = createSeededRandom(20);
    const acks: Ack[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const publisher = start(directory, kill * 1_000_000);
      await publisher.acknowledged(1 + Math.floor(random() * 600));
      await publisher.kill();
      acks.push(...publisher.acks);

      const storage = await directories.open(directory);
      const entries = await readAll(storage.log);
      assertHolds(entries, acks);
      const { links, head } = (await storage.log.state(NAME))!;
      assert.equal(links.at(-1)!.first, head + 1);
      for (const entry of entries) assert.equal(entry.epoch, epochAt(links, entry.sequence));
      // Who repeats a message that was stored but not acknowledged gets its position.
      const last = entries.at(-1)!;
      const [again] = await append(storage.log, [record({ id: last.id, sender: last.sender, contentDigest: 1 })]);
      assert.deepEqual([again!.sequence, again!.epoch, again!.duplicate], [last.sequence, last.epoch, true]);
      await storage.close();
    }
    assert.ok(acks.length > KILLS);
  });

  it("a disk that refuses to write fails what is in flight, and the storage heals by itself", async (test) => {
    if (PRLIMIT === undefined) test.skip("needs prlimit");
    const directory = directories.fresh();
    const publisher = start(directory, 0, 400);
    await publisher.line(/^failed STORAGE_UNAVAILABLE ill/);
    const before = publisher.acks.length;
    assert.ok(before > 0);
    execFileSync(PRLIMIT!, ["--pid", String(publisher.child.pid), "--fsize=unlimited"]);
    await publisher.acknowledged(before + 50);
    await publisher.kill();
    const { log } = await directories.open(directory);
    assertHolds(await readAll(log), publisher.acks);
    assert.ok((await log.state(NAME))!.links.length >= 3, "each opening after a failure adds an epoch");
    assert.equal((await log.create(NAME, INCARNATION, 1)).incarnation, INCARNATION);
  });
});

function assertHolds(entries: readonly LogEntry[], acks: readonly Ack[]): void {
  assert.deepEqual(sequencesOf(entries), range(1, entries.length));
  for (const { id, sequence, epoch } of acks) {
    const entry = entries[sequence - 1];
    assert.deepEqual([entry?.id, entry?.epoch], [id, epoch], `acknowledged as ${sequence}`);
  }
  assert.equal(new Set(entries.map((entry) => entry.id)).size, entries.length, "a message is there twice");
}
