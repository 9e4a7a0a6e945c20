import type { Clock, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { Directory, DirectoryRecord } from "../../storage/directory.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import { Listeners } from "../listeners.ts";
import { RENEWALS_A_LEASE } from "./node-lease.ts";
import type { NodeRecord } from "./node-records.ts";

const MAX_NODES = 1_000;
/** While the storage is away, or when its clock is behind our guess of it. */
const RETRY_MS = 1_000;
const SOONEST_MS = 200;

export interface OtherNodesOptions {
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaseMs: number;
  /** The store's clock, as well as it is known. */
  readonly storeNow: () => number;
  readonly nodeId: string;
  readonly isOwn: (instance: string) => boolean;
}

interface Known {
  readonly record: NodeRecord;
  readonly version: number;
  readonly expiresAtMs: number;
  readonly warned: boolean;
}

/** An instance of a node came or went. */
export interface NodeChange {
  readonly instance: string;
  readonly live: boolean;
}

/**
 * The other nodes on the same storage. They are listed as often as leases are renewed, when one rings, and when the
 * first lease would end; only the storage decides that a node is gone. While the storage is away nobody is: its nodes
 * cannot renew either, and get a part of a lease to do so when it is back.
 */
export class OtherNodes {
  readonly changes: Listeners<NodeChange>;
  readonly #options: OtherNodesOptions;
  readonly #known = new Map<string, Known>();
  #looking: Promise<void> | undefined;
  #again = false;
  /** The last look failed. */
  #blind = false;
  #nobodyGoneUntil = 0;
  #stopTimer: Stop | undefined;
  #stopListening: Stop | undefined;
  #closed = false;

  constructor(options: OtherNodesOptions) {
    this.#options = options;
    this.changes = new Listeners(options.log);
  }

  /** Throws STORAGE_UNAVAILABLE. */
  async load(): Promise<void> {
    this.#stopListening = this.#options.doorbell.listen((ring) => {
      if (ring.topic === "missed" || (ring.topic === "record" && ring.key.kind === "node")) void this.look();
    });
    this.#see(await this.#list());
  }

  isLive(instance: string): boolean {
    return this.#known.has(instance);
  }

  /** Whether it left in good order, and what it wrote counts for a while yet. */
  hasLeft(instance: string): boolean {
    return this.#known.get(instance)?.record.left === true;
  }

  /** Nodes whose word counts. */
  get count(): number {
    return this.#known.size;
  }

  /** Instances that run, but for this node's own. */
  get running(): readonly string[] {
    return [...this.#known].flatMap(([instance, { record }]) => (record.left ? [] : [instance]));
  }

  /** What the nodes that run say of themselves, by node id. */
  get records(): readonly NodeRecord[] {
    const records = [...this.#known.values()].map(({ record }) => record).filter(({ left }) => !left);
    return records.sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
  }

  /** Lists them now. Never fails. */
  look(): Promise<void> {
    if (this.#looking === undefined) {
      this.#looking = this.#look().finally(() => {
        this.#looking = undefined;
      });
    } else this.#again = true;
    return this.#looking;
  }

  /** Of these instances, those that the storage no longer knows. Throws STORAGE_UNAVAILABLE. */
  async gone(instances: Iterable<string>): Promise<readonly string[]> {
    const live = new Set((await this.#list()).map(({ key }) => key.id));
    return [...instances].filter((instance) => !live.has(instance));
  }

  close(): void {
    this.#closed = true;
    this.#stopTimer?.();
    this.#stopListening?.();
  }

  async #look(): Promise<void> {
    do {
      this.#again = false;
      try {
        this.#see(await this.#list());
      } catch (error) {
        if (!this.#blind) this.#options.log.warn({ err: error }, "the nodes could not be listed; it is tried again");
        this.#blind = true;
        this.#schedule(RETRY_MS);
        return;
      }
    } while (this.#again && !this.#closed);
  }

  #list(): Promise<readonly DirectoryRecord[]> {
    return this.#options.directory.list({ kind: "node", limit: MAX_NODES });
  }

  #see(records: readonly DirectoryRecord[]): void {
    const { clock, leaseMs, storeNow, isOwn } = this.#options;
    const now = clock.monotonic();
    if (this.#blind) this.#nobodyGoneUntil = now + leaseMs / RENEWALS_A_LEASE;
    this.#blind = false;
    let nextMs = leaseMs / RENEWALS_A_LEASE;
    const missing = new Set(this.#known.keys());
    for (const record of records) {
      const instance = record.key.id;
      if (isOwn(instance)) continue;
      missing.delete(instance);
      nextMs = Math.min(nextMs, record.expiresAtMs - storeNow());
      this.#seeNode(instance, record);
    }
    for (const instance of missing) {
      if (now < this.#nobodyGoneUntil) nextMs = Math.min(nextMs, this.#nobodyGoneUntil - now);
      else this.#lose(instance);
    }
    this.#schedule(Math.max(SOONEST_MS, nextMs));
  }

  #seeNode(instance: string, { value, version, expiresAtMs }: DirectoryRecord): void {
    const { log, nodeId } = this.#options;
    const record = value as NodeRecord;
    const before = this.#known.get(instance);
    // What runs renews; what a killed process left does not.
    const runs = before !== undefined && before.version < version && !record.left;
    const twice = runs && record.nodeId === nodeId;
    if (twice && !before.warned) {
      log.error(
        { instance, nodeId },
        `another node that runs is called ${nodeId}, too; both work, but give each its own node.id`,
      );
    }
    this.#known.set(instance, { record, version, expiresAtMs, warned: twice || before?.warned === true });
    if (before !== undefined) return;
    log.info({ instance, nodeId: record.nodeId }, `Node ${record.nodeId} is there`);
    this.changes.tell({ instance, live: true });
  }

  #lose(instance: string): void {
    const { log } = this.#options;
    const { nodeId, left } = this.#known.get(instance)!.record;
    this.#known.delete(instance);
    // After an outage of the storage nodes join anew: what expires then is only what they were before.
    const goesOn = [...this.#known.values()].some(({ record }) => record.nodeId === nodeId && !record.left);
    if (goesOn) log.debug({ instance, nodeId }, `Node ${nodeId} goes on as another instance`);
    else if (left) log.info({ instance, nodeId }, `Node ${nodeId} has left`);
    else log.warn({ instance, nodeId }, `Node ${nodeId} is gone: it did not renew its lease`);
    this.changes.tell({ instance, live: false });
  }

  #schedule(ms: number): void {
    this.#stopTimer?.();
    if (!this.#closed) this.#stopTimer = this.#options.clock.after(ms, () => void this.look());
  }
}
