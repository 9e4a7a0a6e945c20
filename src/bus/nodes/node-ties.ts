import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock, Random } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { StorageAdapter } from "../../storage/storage-adapter.ts";
import { Disconnects } from "../agents/disconnects.ts";
import type { SharedPresence } from "../agents/shared-presence.ts";
import type { DirectoryReplica } from "../directory/directory-replica.ts";
import { Election } from "./election.ts";
import { NodeLease } from "./node-lease.ts";
import { boundedReport, type NodeReport } from "./node-records.ts";
import { OtherNodes } from "./other-nodes.ts";

export interface NodeTiesOptions {
  readonly options: BusOptions;
  readonly storage: Pick<StorageAdapter, "directory" | "doorbell" | "now">;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly presence: SharedPresence;
  readonly report: () => NodeReport;
  /** This node is another instance now: what it had written for others does not count any more. */
  readonly onInstance: () => void;
}

/** What ties a node to the others on its storage: its record, their records, and who does what one node does. */
export class NodeTies {
  readonly others: OtherNodes;
  readonly lease: NodeLease;
  readonly sweeper: Election;
  readonly disconnects: Disconnects;
  readonly #presence: SharedPresence;
  readonly #expectOthers: () => void;

  constructor({ options, storage, clock, random, log, presence, report, onInstance }: NodeTiesOptions) {
    const { directory, doorbell } = storage;
    const { agentLeaseMs: leaseMs, nodeId, nodeName: name } = options;
    const shared = { directory, doorbell, clock, log, leaseMs };
    this.#presence = presence;
    this.lease = new NodeLease({
      ...shared,
      startId: random.uuid(clock.now()),
      describe: () => ({ ...boundedReport(report()), nodeId, name }),
      onInstance() {
        presence.shareAgain();
        onInstance();
      },
    });
    const { lease } = this;
    this.others = new OtherNodes({
      ...shared,
      nodeId,
      storeNow: () => storage.now(),
      isOwn: (instance) => lease.isOwn(instance),
    });
    this.#expectOthers = () => doorbell.expectOthers?.(this.others.count > 0);
    this.others.changes.add(this.#expectOthers);
    this.sweeper = new Election({ ...shared, name: "sweeper", candidate: () => lease.instance });
    this.disconnects = new Disconnects({
      ...shared,
      random,
      lease,
      nodes: this.others,
      disconnect: (agentId) => presence.disconnectForOthers(agentId),
    });
  }

  /** Learns of the other nodes; before their records are applied to presence. Throws STORAGE_UNAVAILABLE. */
  async meet(): Promise<void> {
    this.#presence.follow(this.others);
    await this.others.load();
    this.#expectOthers();
  }

  /** From now on the other nodes know this one. Throws STORAGE_UNAVAILABLE. */
  async join(replica: DirectoryReplica): Promise<void> {
    await this.lease.join();
    this.#presence.share({ replica, nodes: this.others, lease: this.lease });
    this.disconnects.start();
    await this.sweeper.start();
  }

  /**
   * Leaves in good order: who said goodbye is gone for the others, and so is this node. Agents whose streams were cut get
   * one lease to open them elsewhere without having been OFFLINE. Never fails.
   */
  async leave(): Promise<void> {
    this.disconnects.close();
    await Promise.all([this.sweeper.leave(), this.#presence.close()]);
    await this.lease.leave(this.#presence.lingering);
    this.others.close();
  }

  /** Stops what a start that failed has begun. */
  close(): void {
    this.disconnects.close();
    this.lease.close();
    void this.sweeper.leave();
    this.others.close();
  }
}
