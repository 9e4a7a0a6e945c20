import type { Directory } from "../../src/storage/directory.ts";
import type { Ring } from "../../src/storage/doorbell.ts";
import { createLocalDoorbell } from "../../src/storage/local-doorbell.ts";
import { MemoryDirectory } from "../../src/storage/memory/memory-directory.ts";
import type { MessageLog } from "../../src/storage/message-log.ts";
import type { RelayListener } from "../../src/storage/relay.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { createFakeClock, type FakeClock } from "./fake-clock.ts";
import { away, ForgetfulLog } from "./forgetful-log.ts";
import { recordingLogger } from "./registry-fixture.ts";

export interface SharedBackendOptions {
  /** Unset: it has one. */
  readonly relay?: boolean;
  /** Puts something between the nodes and the log. */
  readonly wrapLog?: (log: MessageLog) => MessageLog;
}

/** What several nodes of one bus share, in memory, on one clock; it goes away, forgets and loses rings when a test says so. */
export interface SharedBackend {
  readonly clock: FakeClock;
  readonly log: ForgetfulLog;
  readonly directory: Directory;
  readonly epoch: () => number;
  /** Everything fails with STORAGE_UNAVAILABLE; rings and packets are lost. */
  away: boolean;
  /** Which rings come; unset: all. */
  ringFilter: (ring: Ring) => boolean;
  /** Which packets come, by the number of the node that sent them; unset: all. */
  packetFilter: (from: number) => boolean;
  /** Every node is told that rings and packets may have been lost. */
  tellMissed(): void;
  /** What one node opens. Nodes count from 0. */
  open(): StorageAdapter;
}

export function createSharedBackend({
  relay = true,
  wrapLog = (log) => log,
}: SharedBackendOptions = {}): SharedBackend {
  const clock = createFakeClock();
  const doorbell = createLocalDoorbell(recordingLogger([]));
  let drawn = 0;
  let nodes = 0;
  const epoch = () => ++drawn;
  const listeners = new Map<number, Set<RelayListener>>();
  const ring = (one: Ring) => {
    if (!backend.away && backend.ringFilter(one)) doorbell.ring(one);
  };
  const log = new ForgetfulLog({
    now: clock.now,
    randomEpoch: epoch,
    onAppended: ({ key }, head, issued) => ring({ topic: "log", key, head, epoch: issued }),
  });
  const directory = new MemoryDirectory(clock.now);
  const backend: SharedBackend = {
    clock,
    log,
    directory,
    epoch,
    away: false,
    ringFilter: () => true,
    packetFilter: () => true,
    tellMissed() {
      doorbell.ring({ topic: "missed" });
      for (const own of listeners.values()) for (const listener of own) listener.missed();
    },
    open() {
      const node = nodes++;
      const own = new Set<RelayListener>();
      listeners.set(node, own);
      const failing = <T extends object>(target: T): T =>
        new Proxy(target, {
          get(_, property) {
            const method = Reflect.get(target, property, target) as unknown;
            if (typeof method !== "function") return method;
            return (...args: unknown[]) => {
              if (backend.away) return Promise.reject(away());
              return Reflect.apply(method, target, args);
            };
          },
        });
      return {
        kind: "test",
        capabilities: { durable: true, shared: true, durability: "SYNCED", notifies: true },
        log: failing(wrapLog(log)),
        directory: failing(directory),
        doorbell: { ring, listen: (listener) => doorbell.listen(listener) },
        ...(relay && {
          relay: {
            send(packet: Uint8Array) {
              if (backend.away || !backend.packetFilter(node)) return;
              // A copy: packets come over a network. Also to the one who sent it.
              for (const all of listeners.values())
                for (const listener of all) listener.packet(Uint8Array.from(packet));
            },
            listen(listener: RelayListener) {
              own.add(listener);
              return () => void own.delete(listener);
            },
          },
        }),
        now: clock.now,
        problem: () => (backend.away ? "away" : undefined),
        async close() {},
      };
    },
  };
  return backend;
}
