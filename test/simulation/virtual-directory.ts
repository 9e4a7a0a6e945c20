import type {
  Directory,
  DirectoryRecord,
  ListRequest,
  PutOptions,
  PutOutcome,
  RecordKey,
} from "../../src/storage/directory.ts";
import { checkListLimit, compareRecordKeys, expiryOf, isLive } from "../../src/storage/record-order.ts";

interface Held {
  readonly key: RecordKey;
  readonly version: number;
  readonly json: string;
  readonly expiresAtMs: number;
  /** Removed: only its version is remembered. */
  readonly isRemoved: boolean;
}

export interface DirectoryWorld {
  now(): number;
  onChange(undo: () => void): void;
}

/** The promises of Directory, each method one step. */
type Steps = {
  [K in keyof Directory]: (...args: Parameters<Directory[K]>) => Awaited<ReturnType<Directory[K]>>;
};

/** Records by the simplest model: one map, searched as a whole. */
export class VirtualDirectory implements Steps {
  readonly #world: DirectoryWorld;
  readonly #records = new Map<string, Held>();

  constructor(world: DirectoryWorld) {
    this.#world = world;
  }

  get(key: RecordKey): DirectoryRecord | undefined {
    return toRecord(this.#live(key));
  }

  put(key: RecordKey, value: object, options: PutOptions = {}): PutOutcome {
    const live = this.#live(key);
    const { expectedVersion, maxInParent } = options;
    if (expectedVersion !== undefined && expectedVersion !== (live?.version ?? 0)) {
      return { kind: "conflict", current: toRecord(live) };
    }
    if (live === undefined && maxInParent !== undefined && this.count(key.kind, key.parent) >= maxInParent) {
      return { kind: "full" };
    }
    const version = (this.#records.get(placeOf(key))?.version ?? 0) + 1;
    const expiresAtMs = expiryOf(options, this.#world.now());
    this.#set({ key, version, json: JSON.stringify(value), expiresAtMs, isRemoved: false });
    return { kind: "stored", version, expiresAtMs };
  }

  delete(key: RecordKey, expectedVersion?: number): boolean {
    const live = this.#live(key);
    if (live === undefined || (expectedVersion !== undefined && expectedVersion !== live.version)) return false;
    this.#set({ ...live, isRemoved: true });
    return true;
  }

  list({ kind, parent, after, limit }: ListRequest): readonly DirectoryRecord[] {
    checkListLimit(limit);
    return [...this.#records.values()]
      .filter(({ key }) => key.kind === kind && (parent === undefined || key.parent === parent))
      .filter((held) => this.#isLive(held) && (after === undefined || compareRecordKeys(held.key, after) > 0))
      .sort((a, b) => compareRecordKeys(a.key, b.key))
      .slice(0, limit)
      .map((held) => toRecord(held)!);
  }

  count(kind: string, parent: string): number {
    let count = 0;
    for (const held of this.#records.values()) {
      if (held.key.kind === kind && held.key.parent === parent && this.#isLive(held)) count++;
    }
    return count;
  }

  #live(key: RecordKey): Held | undefined {
    const held = this.#records.get(placeOf(key));
    return held !== undefined && this.#isLive(held) ? held : undefined;
  }

  #isLive({ isRemoved, expiresAtMs }: Held): boolean {
    return !isRemoved && isLive(expiresAtMs, this.#world.now());
  }

  #set(held: Held): void {
    const place = placeOf(held.key);
    const before = this.#records.get(place);
    this.#records.set(place, held);
    this.#world.onChange(() => {
      if (before === undefined) this.#records.delete(place);
      else this.#records.set(place, before);
    });
  }
}

function placeOf({ kind, parent, id }: RecordKey): string {
  return `${kind}\n${parent}\n${id}`;
}

function toRecord(held: Held | undefined): DirectoryRecord | undefined {
  if (held === undefined) return undefined;
  return { key: held.key, version: held.version, value: JSON.parse(held.json), expiresAtMs: held.expiresAtMs };
}
