import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, it } from "vitest";
import { placeReader } from "../../src/core/epoch-chain.ts";
import { BusError } from "../../src/core/errors.ts";
import { append, INCARNATION, NAME, range, record } from "../conformance/appending.ts";
import { createSeededRandom } from "../support/seeded-random.ts";
import { waitUntil } from "../support/wait.ts";
import {
  appendOneByOne,
  assertUnaltered,
  createLog,
  Snapshot,
  type Survey,
  survey,
  useDirectories,
} from "./file-fixture.ts";

const PAGE = 4_096;
const WAL_HEADER = 32;
const FRAME = 24 + PAGE;

describe("S0-2.1.4b: damage to the files of a file storage", () => {
  const directories = useDirectories();
  let directory: string;
  beforeEach(() => {
    directory = directories.fresh();
  });
  const open = () => directories.open(directory);

  /** A log as it was, and the storage's files after a clean close. */
  async function closedWith(count: number, bodyBytes = 200): Promise<{ files: Snapshot; original: Survey }> {
    const storage = await open();
    const log = await createLog(storage);
    await appendOneByOne(log, count, bodyBytes);
    for (const id of ["a", "b", "c"]) await storage.directory.put({ kind: "room", parent: "", id }, { id });
    const original = await survey(log);
    await storage.close();
    return { files: Snapshot.of(directory), original };
  }

  /** A log as it was, and the storage's files as a crash would leave them. */
  async function crashedWith(count: number): Promise<{ files: Snapshot; original: Survey; epoch: number }> {
    const storage = await open();
    const log = await createLog(storage);
    await appendOneByOne(log, count);
    const original = await survey(log);
    const files = Snapshot.of(directory);
    const epoch = (await log.state(NAME))!.links[0]!.epoch;
    await storage.close();
    return { files, original, epoch };
  }

  it("goes on under the same epoch after a clean close, and under a new one after a crash", async () => {
    const { files, original, epoch } = await crashedWith(3);
    const clean = await open();
    assert.equal((await clean.log.state(NAME))!.links.length, 1);
    await clean.close();
    files.restore(directory);
    const { log } = await open();
    const { links } = (await log.state(NAME))!;
    assert.deepEqual(
      links.map((link) => link.first),
      [1, 4],
    );
    assert.equal(links[0]!.epoch, epoch);
    assertUnaltered(await survey(log), original);
    const [entry] = await append(log, [record()]);
    assert.deepEqual([entry!.sequence, entry!.epoch], [4, links[1]!.epoch]);
  });

  it("a write-ahead log cut anywhere loses the end of the log and says so by a new epoch", async () => {
    const { files, original, epoch } = await crashedWith(5);
    const frames = (files.wal.byteLength - WAL_HEADER) / FRAME;
    assert.ok(Number.isInteger(frames) && frames > 10);
    const cuts = range(0, frames).flatMap((frame) => [frame * FRAME, frame * FRAME + 100]);
    const heads = new Set<number>();
    for (const cut of [-WAL_HEADER, -8, ...cuts]) {
      files.with("agentbus.db-wal", files.wal.subarray(0, WAL_HEADER + cut)).restore(directory);
      const storage = await open();
      const state = await storage.log.state(NAME);
      heads.add(state?.head ?? -1);
      if (state !== undefined) {
        const found = await survey(storage.log);
        assert.equal(found.damaged.size, 0);
        assertUnaltered(found, original);
        assert.equal(state.links.at(-1)!.first, state.head + 1);
        // A reader who has seen everything is told what is lost, and is not placed beyond what comes next.
        const placed = placeReader(state, epoch, 5);
        if (state.head < 5) assert.deepEqual(placed.gap, { first: state.head + 1, last: 5, cause: "NEW_EPOCH" });
        const [entry] = await append(storage.log, [record()]);
        assert.equal(entry!.sequence, state.head + 1);
        assert.notEqual(entry!.epoch, epoch);
      }
      await storage.close();
    }
    assert.deepEqual(
      [...heads].sort((a, b) => a - b),
      [-1, ...range(0, 5)],
    );
  });

  it("a flipped byte in the write-ahead log cuts it there", async () => {
    const { files, original } = await crashedWith(4);
    const random = createSeededRandom(4);
    for (let n = 0; n < 25; n++) {
      const wal = Buffer.from(files.wal);
      const at = Math.floor(random() * wal.byteLength);
      wal[at] = wal[at]! ^ (1 << (n % 8));
      files.with("agentbus.db-wal", wal).restore(directory);
      const storage = await open();
      const state = await storage.log.state(NAME);
      if (state !== undefined) {
        assertUnaltered(await survey(storage.log), original);
        assert.equal(state.links.length, 2);
      }
      await storage.close();
    }
  });

  it("a flipped byte anywhere in the database is refused, told as damage, or changes nothing", async () => {
    const { files, original } = await closedWith(30, 700);
    const random = createSeededRandom(11);
    const seen = { refused: 0, damaged: 0, unharmed: 0 };
    for (let n = 0; n < 90; n++) {
      const database = Buffer.from(files.database);
      const at = Math.floor(random() * database.byteLength);
      database[at] = database[at]! ^ (1 << (n % 8));
      files.with("agentbus.db", database).restore(directory);
      seen[await outcomeOf(original, `byte ${at}`)]++;
    }
    assert.ok(seen.damaged > 10, JSON.stringify(seen));
  });

  it("a page that was zeroed is refused, told as damage, or changes nothing", async () => {
    const { files, original } = await closedWith(30, 700);
    const seen = { refused: 0, damaged: 0, unharmed: 0 };
    for (let page = 0; page < files.database.byteLength / PAGE; page++) {
      const database = Buffer.from(files.database);
      database.fill(0, page * PAGE, (page + 1) * PAGE);
      files.with("agentbus.db", database).restore(directory);
      seen[await outcomeOf(original, `page ${page}`)]++;
    }
    assert.ok(seen.refused > 0 && seen.damaged > 0, JSON.stringify(seen));
  });

  it("a database file cut short is refused or told as damage", async () => {
    const { files, original } = await closedWith(30, 700);
    const size = files.database.byteLength;
    for (const left of [0, 1, 50, 100, 512, PAGE - 1, PAGE, 3 * PAGE, size / 2, size - PAGE, size - 1]) {
      files.with("agentbus.db", files.database.subarray(0, left)).restore(directory);
      assert.notEqual(await outcomeOf(original, `${left} bytes left`), "unharmed");
    }
  });

  /** Opens what was restored and holds that nothing altered is returned and nothing lost is passed over. */
  async function outcomeOf(original: Survey, what: string): Promise<"refused" | "damaged" | "unharmed"> {
    let storage: Awaited<ReturnType<typeof open>>;
    try {
      storage = await open();
    } catch (error) {
      assert.ok(error instanceof BusError, `${what}: ${error}`);
      assert.match(error.message, /agentbus\.db/, what);
      return "refused";
    }
    try {
      assert.equal((await storage.log.state(NAME))?.head, original.head, what);
      const forward = await survey(storage.log);
      const backward = await survey(storage.log, true);
      assert.deepEqual(backward.damaged, forward.damaged, what);
      assertUnaltered(forward, original);
      const records = await storage.directory.list({ kind: "room", limit: 10 });
      assert.deepEqual(
        records.map((each) => each.value),
        [{ id: "a" }, { id: "b" }, { id: "c" }],
        what,
      );
      return forward.damaged.size > 0 ? "damaged" : "unharmed";
    } catch (error) {
      if (!(error instanceof BusError)) throw new Error(`${what}: ${error}`, { cause: error });
      assert.equal(error.reason, "DATA_DAMAGED", `${what}: ${error.message}`);
      return "damaged";
    } finally {
      await storage.close().catch(() => {});
    }
  }

  it("an index that lost its page is built anew, and nothing is missing", async () => {
    const { files, original } = await closedWith(30, 700);
    const db = new DatabaseSync(join(directory, "agentbus.db"));
    const root = Number(
      db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'block_by_log'").get()!["rootpage"],
    );
    db.close();
    const database = Buffer.from(files.database);
    database.fill(0, (root - 1) * PAGE, root * PAGE);
    files.with("agentbus.db", database).restore(directory);
    const { log } = await open();
    const found = await survey(log);
    assert.equal(found.entries.size, 30);
    assertUnaltered(found, original);
    assert.equal((await log.state(NAME))!.links.length, 2);
    await append(log, [record()]);
  });

  it("a block that is missing in the middle is told as damaged, and the rest is read", async () => {
    const { original } = await closedWith(10);
    const db = new DatabaseSync(join(directory, "agentbus.db"));
    db.exec("DELETE FROM block WHERE first_sequence BETWEEN 4 AND 6 OR first_sequence = 10");
    db.close();
    const { log } = await open();
    for (const backward of [false, true]) {
      const found = await survey(log, backward);
      assert.deepEqual(
        [...found.damaged].sort((a, b) => a - b),
        [4, 5, 6, 10],
      );
      assertUnaltered(found, original);
    }
    assert.deepEqual((await log.read({ name: NAME, from: 3, backward: false, maxEntries: 2, maxBytes: 1e6 })).damaged, [
      { first: 4, last: 6 },
    ]);
    await append(log, [record()]);
    const state = await log.trim(NAME, { maxAgeMs: 0, maxMessages: 2, maxBytes: 0 });
    assert.deepEqual([state.floor, state.head], [10, 11]);
  });

  it("blocks that a deleted log left behind belong to no other log, and go", async () => {
    await closedWith(5);
    const path = join(directory, "agentbus.db");
    const db = new DatabaseSync(path);
    // As a crash leaves it: the log is gone, and there are more blocks than one transaction removes.
    db.exec(`DELETE FROM log; DELETE FROM log_head;
      WITH RECURSIVE more (n) AS (SELECT 6 UNION ALL SELECT n + 1 FROM more WHERE n < 1200)
      INSERT INTO block (log_id, first_sequence, last_sequence, epoch, first_accepted_at, last_accepted_at, body_bytes,
        checksum, id_hashes, entries, bodies)
      SELECT log_id, n, n, epoch, first_accepted_at, last_accepted_at, body_bytes, checksum, id_hashes, entries, bodies
        FROM block, more WHERE first_sequence = 1`);
    db.close();
    const { log } = await open();
    await log.create(NAME, "second", 1);
    await append(log, [record()], { incarnation: "second" });
    const found = await survey(log);
    assert.deepEqual([[...found.entries.keys()], found.damaged.size, found.head], [[1], 0, 1]);
    const other = new DatabaseSync(path, { readOnly: true });
    await waitUntil(() => other.prepare("SELECT count(*) AS blocks FROM block").get()?.["blocks"] === 1);
    other.close();
  });

  it("a block swapped with another one is told as damaged", async () => {
    await closedWith(4);
    const db = new DatabaseSync(join(directory, "agentbus.db"));
    db.exec(`UPDATE block SET (entries, bodies, id_hashes, checksum) =
      (SELECT entries, bodies, id_hashes, checksum FROM block WHERE first_sequence = 1) WHERE first_sequence = 3`);
    db.close();
    const found = await survey((await open()).log);
    assert.deepEqual([...found.damaged], [3]);
  });

  it("an older copy of the database goes on under new epochs", async () => {
    const storage = await open();
    await appendOneByOne(await createLog(storage), 3);
    await storage.close();
    const old = Snapshot.of(directory);
    const later = await open();
    await appendOneByOne(later.log, 4);
    const { epoch } = (await later.log.state(NAME))!.links[0]!;
    await later.close();
    const newest = Snapshot.of(directory);

    newest.with("agentbus.db", old.database).restore(directory);
    const { log } = await open();
    const state = (await log.state(NAME))!;
    assert.deepEqual([state.head, state.links.map((link) => link.first)], [3, [1, 4]]);
    assert.deepEqual(placeReader(state, epoch, 7).gap, { first: 4, last: 7, cause: "NEW_EPOCH" });
  });

  it("an older copy with a younger write-ahead log is refused or told, never passed over", async () => {
    const storage = await open();
    const log = await createLog(storage);
    await appendOneByOne(log, 3);
    await storage.close();
    const old = Snapshot.of(directory);
    const middle = await open();
    await appendOneByOne(middle.log, 6, 3_000);
    await middle.close();
    const later = await open();
    await appendOneByOne(later.log, 3);
    const original = await survey(later.log);
    const crashed = Snapshot.of(directory);
    await later.close();

    crashed.with("agentbus.db", old.database).restore(directory);
    try {
      const mixed = await open();
      const found = await survey(mixed.log);
      assertUnaltered(found, original);
      assert.ok(found.damaged.size > 0 || (await mixed.log.state(NAME))!.links.length > 1);
    } catch (error) {
      assert.ok(error instanceof BusError, String(error));
    }
  });

  it("the database of another storage is refused", async () => {
    const { files } = await closedWith(2);
    const other = directories.fresh();
    const storage = await directories.open(other);
    await storage.close();
    files.with("agentbus.db", Snapshot.of(other).database).restore(directory);
    await assert.rejects(open(), /is the database of another storage/);
  });

  it("a database taken to a new directory is welcome, under new epochs", async () => {
    const { files } = await closedWith(2);
    files.with("store", undefined).with("clean", undefined).restore(directory);
    const { log } = await open();
    assert.equal((await log.state(NAME))!.links.length, 2);
  });

  it("another program's database, a newer schema and no database at all are refused with what to do", async () => {
    const path = join(directory, "agentbus.db");
    const foreign = new DatabaseSync(path);
    foreign.exec("CREATE TABLE theirs (x)");
    foreign.close();
    await assert.rejects(open(), /another program; move it away/);

    directory = directories.fresh();
    const { files } = await closedWith(1);
    const newer = new DatabaseSync(join(directory, "agentbus.db"));
    newer.exec("PRAGMA user_version = 99");
    newer.close();
    await assert.rejects(open(), /schema 99, written by a newer agentbus.*update it/);

    files
      .with(
        "agentbus.db",
        Buffer.from("no database at all, but a text that is long enough to be taken for one".repeat(80)),
      )
      .restore(directory);
    await assert.rejects(open(), /cannot be opened .* Restore it from a backup/);

    files.with("agentbus.db", undefined).restore(directory);
    await assert.rejects(open(), /missing or empty, but the directory was in use: restore the file/);
    assert.equal(existsSync(join(directory, "agentbus.db")), false);
    files.restore(directory);
    assert.equal((await (await open()).log.create(NAME, INCARNATION, 1)).head, 1);
  });
});
