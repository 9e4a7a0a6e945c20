import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import type { LogEntry } from "../../src/core/message.ts";
import { createFileStorage, type FileStorageOptions } from "../../src/storage/file/index.ts";
import type { MessageLog } from "../../src/storage/message-log.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { append, INCARNATION, NAME, readRequest, record } from "../conformance/appending.ts";
import { testEnvironment } from "../conformance/opened-storage.ts";

/** A directory of its own for each test, and every storage opened in it is closed at the end. */
export function useDirectories(): {
  fresh(): string;
  open(directory: string, options?: FileStorageOptions): Promise<StorageAdapter>;
} {
  const directories: string[] = [];
  const storages: StorageAdapter[] = [];
  afterEach(async () => {
    await Promise.allSettled(storages.splice(0).map((storage) => storage.close()));
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
  });
  return {
    fresh() {
      const directory = mkdtempSync(join(tmpdir(), "agentbus-fault-"));
      directories.push(directory);
      return directory;
    },
    async open(directory, options = {}) {
      const storage = await createFileStorage(directory, options, testEnvironment().environment);
      storages.push(storage);
      return storage;
    },
  };
}

const FILES = ["agentbus.db", "agentbus.db-wal", "store", "clean"];

/** The files of a storage, closed or as a crash at this moment would leave them. */
export class Snapshot {
  readonly files: ReadonlyMap<string, Buffer>;

  constructor(files: ReadonlyMap<string, Buffer>) {
    this.files = files;
  }

  static of(directory: string): Snapshot {
    const present = FILES.filter((file) => existsSync(join(directory, file)));
    return new Snapshot(new Map(present.map((file) => [file, readFileSync(join(directory, file))])));
  }

  get database(): Buffer {
    return this.files.get("agentbus.db")!;
  }

  get wal(): Buffer {
    return this.files.get("agentbus.db-wal")!;
  }

  /** The same with this file replaced; undefined: removed. */
  with(file: string, bytes: Buffer | undefined): Snapshot {
    const files = new Map(this.files);
    if (bytes === undefined) files.delete(file);
    else files.set(file, bytes);
    return new Snapshot(files);
  }

  restore(directory: string): void {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    for (const [file, bytes] of this.files) writeFileSync(join(directory, file), bytes);
  }
}

export function copyFile(from: string, to: string, file: string): void {
  copyFileSync(join(from, file), join(to, file));
}

/** Appends messages with bodies that tell them apart, each in a block of its own. */
export async function appendOneByOne(log: MessageLog, count: number, bodyBytes = 200): Promise<void> {
  for (let n = 0; n < count; n++) await append(log, [record({ body: bodyOf(bodyBytes, n) })]);
}

function bodyOf(bytes: number, n: number): Buffer {
  return Buffer.alloc(bytes, `${n}-`);
}

export async function createLog(storage: StorageAdapter): Promise<MessageLog> {
  await storage.log.create(NAME, INCARNATION, 1);
  return storage.log;
}

export interface Survey {
  readonly entries: ReadonlyMap<number, LogEntry>;
  readonly damaged: ReadonlySet<number>;
  readonly head: number;
  readonly floor: number;
}

/** Reads a whole log, forward or backward, and holds the promise that each sequence is either returned or told as damaged. */
export async function survey(log: MessageLog, backward = false): Promise<Survey> {
  const entries = new Map<number, LogEntry>();
  const damaged = new Set<number>();
  const { head, floor } = (await log.state(NAME))!;
  for (let from = backward ? head + 1 : floor - 1; ; ) {
    const page = await log.read(readRequest({ from, backward, maxEntries: 7 }));
    for (const entry of page.entries) {
      assert.equal(entries.has(entry.sequence), false, `${entry.sequence} was returned twice`);
      entries.set(entry.sequence, entry);
    }
    for (const { first, last } of page.damaged) {
      assert.ok(first <= last);
      for (let sequence = first; sequence <= last; sequence++) damaged.add(sequence);
    }
    const seen = [
      ...page.entries.map((entry) => entry.sequence),
      ...page.damaged.flatMap(({ first, last }) => [first, last]),
    ];
    if (seen.length === 0) break;
    from = backward ? Math.min(...seen) : Math.max(...seen);
  }
  for (let sequence = floor; sequence <= head; sequence++) {
    assert.notEqual(entries.has(sequence), damaged.has(sequence), `${sequence} is neither returned nor told, or both`);
  }
  return { entries, damaged, head, floor };
}

/** What was read is, byte for byte, what was stored before the damage. */
export function assertUnaltered(found: Survey, original: Survey): void {
  for (const [sequence, entry] of found.entries) {
    const before = original.entries.get(sequence);
    assert.ok(before !== undefined, `${sequence} was never stored`);
    assert.deepEqual({ ...entry, body: Buffer.from(entry.body) }, { ...before, body: Buffer.from(before.body) });
  }
}
