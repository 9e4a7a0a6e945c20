import type { Stop } from "../../src/core/clock.ts";
import { BusError } from "../../src/core/errors.ts";
import type { Directory } from "../../src/storage/directory.ts";
import type { Doorbell, Ring } from "../../src/storage/doorbell.ts";
import type { AppendBatch, AppendOutcome, MessageLog } from "../../src/storage/message-log.ts";
import type { Relay, RelayListener } from "../../src/storage/relay.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { createAppendLanes } from "./append-lanes.ts";
import type { Dice } from "./dice.ts";
import type { Faults } from "./faults.ts";
import type { Party, Scheduler } from "./scheduler.ts";
import { unavailable, type VirtualBackend } from "./virtual-backend.ts";

export interface VirtualStorageOptions {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  readonly backend: VirtualBackend;
  /** The node whose storage it is. */
  readonly party: Party;
  /** What goes wrong now. */
  readonly faults: () => Faults;
  /** To all nodes, this one included: a ring that this node rang. */
  readonly ring: (ring: Ring) => void;
  /** To all other nodes. */
  readonly relay: (packet: Uint8Array) => void;
}

/** A driver gives up on an answer after this long. */
const TIMEOUT_MS = 3_000;
const MAX_LATE_MS = 4_000;

/** One node's way to the backend: its adapter, and the network, which an adversary has. */
export class VirtualStorage {
  readonly adapter: StorageAdapter;
  readonly #options: VirtualStorageOptions;
  readonly #rings = new Set<(ring: Ring) => void>();
  readonly #packets = new Set<RelayListener>();
  /** Counts up with each cut: what was under way belongs to an older one. */
  #connection = 0;
  #isConnected = true;
  #inFlight = 0;
  #lastPacketAt = 0;

  constructor(options: VirtualStorageOptions) {
    this.#options = options;
    this.adapter = this.#createAdapter();
  }

  /** Operations under way, and listeners. */
  get inUse(): number {
    return this.#inFlight + this.#rings.size + this.#packets.size;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** The backend cannot be reached; whatever is under way fails. */
  disconnect(): void {
    this.#isConnected = false;
    this.#connection++;
  }

  connect(): void {
    if (this.#isConnected) return;
    this.#isConnected = true;
    this.#toNode(0, () => {
      for (const listener of [...this.#rings]) listener({ topic: "missed" });
      for (const listener of [...this.#packets]) listener.missed();
    });
  }

  /** A ring on its way to this node. */
  hear(ring: Ring): void {
    const { dice, faults } = this.#options;
    const { ringLost, ringLate, latencyMs } = faults();
    if (!this.#isConnected || dice.chance(ringLost)) return;
    const delayMs = dice.chance(ringLate) ? dice.between(0, 3_000) : dice.between(0, latencyMs);
    const connection = this.#connection;
    this.#toNode(delayMs, () => {
      if (connection !== this.#connection) return;
      for (const listener of [...this.#rings]) listener(ring);
    });
  }

  /** A packet on its way to this node; those of one sender keep their order. */
  carry(packet: Uint8Array): void {
    const { dice, faults, scheduler } = this.#options;
    if (!this.#isConnected || dice.chance(faults().relayLost)) return;
    this.#lastPacketAt = Math.max(this.#lastPacketAt, scheduler.now + dice.between(0, faults().latencyMs));
    const connection = this.#connection;
    this.#toNode(this.#lastPacketAt - scheduler.now, () => {
      if (connection !== this.#connection) return;
      for (const listener of [...this.#packets]) listener.packet(packet);
    });
  }

  #toNode(ms: number, task: () => void): void {
    this.#options.scheduler.after(ms, this.#options.party, task);
  }

  #createAdapter(): StorageAdapter {
    const { backend, scheduler, party, dice } = this.#options;
    const skewMs = dice.between(-20, 20);
    const lanes = createAppendLanes({
      commit: (batches) => this.#append(batches),
      atEndOfTurn: (task) => void scheduler.after(0, party, task),
    });
    const log: MessageLog = {
      create: (...args) => this.#call(() => backend.create(...args)),
      state: ({ key }) => this.#call(() => backend.log(key)?.state),
      append: (batch) => lanes(batch),
      ends: (names) => this.#call(() => backend.ends(names)),
      read: ({ name, ...request }) =>
        this.#call(() => backend.log(name.key)?.read(request) ?? { entries: [], state: undefined, damaged: [] }),
      findId: ({ key }, id, after) => this.#call(() => backend.log(key)?.findId(id, after) ?? []),
      findTime: ({ key }, timeMs) => this.#call(() => backend.log(key)?.findTime(timeMs) ?? 1),
      fence: (...args) => this.#call(() => backend.fence(...args)),
      renewEpoch: (name) => this.#call(() => backend.renewEpoch(name)),
      trim: (...args) => this.#call(() => backend.trim(...args)),
      delete: (...args) => this.#call(() => backend.delete(...args)),
    };
    const { directory: records } = backend;
    const directory: Directory = {
      get: (key) => this.#call(() => records.get(key)),
      put: (key, value, options) => {
        const copy = structuredClone(value);
        return this.#call(() => records.put(key, copy, options));
      },
      delete: (...args) => this.#call(() => records.delete(...args)),
      list: (request) => this.#call(() => records.list(request)),
      count: (...args) => this.#call(() => records.count(...args)),
    };
    const doorbell: Doorbell = {
      ring: (ring) => {
        if (this.#isConnected) this.#options.ring(ring);
      },
      listen: (listener) => listenIn(this.#rings, (ring: Ring) => listener(ring)),
    };
    const relay: Relay = {
      send: (packet) => {
        if (this.#isConnected) this.#options.relay(packet);
      },
      listen: (listener) =>
        listenIn(this.#packets, { packet: (packet) => listener.packet(packet), missed: () => listener.missed() }),
    };
    return {
      kind: "virtual",
      capabilities: { durable: true, shared: true, durability: "SYNCED", notifies: true },
      log,
      directory,
      doorbell,
      relay,
      now: () => Math.floor(backend.now() + skewMs),
      problem: () => (this.#isConnected ? undefined : "the simulated storage is away"),
      sweep: async () => {},
      close: async () => {},
    };
  }

  /** One commit of one log. What fails in between has stored the first of its batches. */
  #append(batches: readonly AppendBatch[]): Promise<readonly AppendOutcome[]> {
    const { backend, dice, faults } = this.#options;
    if (dice.chance(faults().full)) {
      const key = batches[0]!.name.key;
      return this.#call(() => {
        throw new BusError("STORAGE_FULL", `${key}: the simulated disk is full`);
      });
    }
    return this.#call(() => batches.map((batch) => backend.append(batch)));
  }

  /** One atomic step of the backend, there and back again. */
  #call<T>(step: () => T): Promise<T> {
    const { scheduler, dice, faults, backend, party } = this.#options;
    const { latencyMs, failed, lost, late } = faults();
    const there = dice.between(0, latencyMs);
    const back = dice.between(0, latencyMs);
    const fate = dice.between(0, 1);
    const lateMs = dice.between(0, MAX_LATE_MS);
    const { life } = backend;
    const connection = this.#connection;
    this.#inFlight++;
    return new Promise<T>((resolve, reject) => {
      let isSettled = false;
      const settle = (ms: number, task: () => void) =>
        scheduler.after(ms, party, () => {
          if (isSettled) return;
          isSettled = true;
          this.#inFlight--;
          task();
        });
      const fail = (ms: number, why: string) => void settle(ms, () => reject(unavailable(why)));
      if (!this.#isConnected) return fail(there, "cannot be reached");
      if (fate < failed) return fail(there + back, "refused");
      const isLate = fate > 1 - late;
      if (isLate) fail(there + back, "gave no answer in time");
      // Nobody's event: what is sent arrives, also when its sender is dead by then.
      scheduler.after(there + (isLate ? lateMs : 0), undefined, () => {
        if (backend.life !== life) return fail(back, "went down");
        if (connection !== this.#connection && dice.chance(0.5)) return fail(back, "was cut off");
        let answer: () => void;
        try {
          const result = step();
          answer = () => resolve(result);
        } catch (error) {
          answer = () => reject(error instanceof Error ? error : new Error(String(error)));
        }
        if (fate < failed + lost) return fail(dice.chance(0.5) ? back : TIMEOUT_MS, "the answer was lost");
        settle(back, () => {
          if (connection === this.#connection) answer();
          else reject(unavailable("cut off before the answer"));
        });
      });
    });
  }
}

/** A listener may be there twice, and each stop ends its own. */
function listenIn<L>(listeners: Set<L>, listener: L): Stop {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}
