import { setTimeout as pause } from "node:timers/promises";
import type { Direction, TcpProxy } from "../../test/support/tcp-proxy.ts";
import type { BackendServer } from "./backend-server.ts";
import type { Cluster, ClusterNode } from "./cluster.ts";
import type { Disk } from "./disk.ts";
import { FAULT_KINDS, type FaultKind } from "./fault-kinds.ts";
import type { LossWindow, PowerSwitch } from "./power-cut.ts";

/** What there is to break. */
export interface Stage {
  readonly cluster: Cluster;
  readonly backend: BackendServer | undefined;
  readonly power: PowerSwitch | undefined;
  readonly disk: Disk | undefined;
  readonly random: () => number;
  /** Times in which acknowledged messages may be lost, if that is told. */
  readonly losses: LossWindow[];
  /** Faults that may cost a server its newest, beside the power cut, which knows exactly what it took. */
  readonly losesBy: ReadonlySet<FaultKind>;
  /** The nodes' data ends with their process. */
  readonly isVolatile: boolean;
}

export interface Fault {
  readonly kind: FaultKind;
  /** What it breaks: two faults of one round never break the same. */
  readonly target: string;
  /** How long it lasts, in milliseconds. */
  readonly durationMs: number;
  begin(): Promise<void>;
  /** Resolves when everything that it broke works again. */
  end(): Promise<void>;
}

/** The faults that can be made here. */
export function possibleFaults(stage: Stage): readonly FaultKind[] {
  const { backend, power, disk, isVolatile } = stage;
  const possible: Readonly<Record<FaultKind, boolean>> = {
    "node-kill": !isVolatile,
    "node-stop": !isVolatile,
    "node-freeze": true,
    "client-cut": true,
    "client-delay": true,
    "client-black-hole": true,
    "backend-cut": backend !== undefined,
    "backend-delay": backend !== undefined,
    "backend-black-hole": backend !== undefined,
    "backend-restart": backend !== undefined,
    "backend-kill": backend !== undefined,
    "backend-immediate": backend?.kind.name === "postgres",
    "backend-freeze": backend !== undefined,
    "backend-power-cut": power !== undefined,
    "disk-full": disk !== undefined,
  };
  return FAULT_KINDS.filter((kind) => possible[kind]);
}

/** One fault of this kind, with everything about it drawn from the stage's random numbers. */
export function drawFault(kind: FaultKind, stage: Stage): Fault {
  const { cluster, random } = stage;
  const node = cluster.nodes[Math.floor(random() * cluster.nodes.length)]!;
  const between = (min: number, max: number) => min + random() * (max - min);
  // Mostly short, now and then up to the longest.
  const frozenMs = 2_000 + 18_000 * random() ** 3;
  switch (kind) {
    case "node-kill":
      return processFault(
        kind,
        node.name,
        between(0, 3_000),
        () => node.kill(),
        () => node.start(),
      );
    case "node-stop":
      return processFault(
        kind,
        node.name,
        between(0, 2_000),
        async () => void (await node.stop()),
        () => node.start(),
      );
    case "node-freeze":
      return processFault(
        kind,
        node.name,
        frozenMs,
        async () => node.freeze(),
        async () => node.thaw(),
      );
    case "client-cut":
      return cutFault(kind, `${node.name} clients`, node.clients, random() < 0.5 ? 0 : between(200, 3_000));
    case "client-delay":
      return delayFault(kind, `${node.name} clients`, node.clients, random);
    case "client-black-hole":
      return blackHoleFault(kind, `${node.name} clients`, node.clients, random);
    case "backend-cut":
      return cutFault(kind, `${node.name} backend`, node.backend!, random() < 0.5 ? 0 : between(200, 5_000));
    case "backend-delay":
      return delayFault(kind, `${node.name} backend`, node.backend!, random);
    case "backend-black-hole":
      return blackHoleFault(kind, `${node.name} backend`, node.backend!, random);
    default: {
      const fault = backendFault(kind, stage, frozenMs, between(0, 4_000), node);
      return stage.losesBy.has(kind) ? withLosses(fault, stage.losses) : fault;
    }
  }
}

function backendFault(kind: FaultKind, stage: Stage, frozenMs: number, awayMs: number, node: ClusterNode): Fault {
  const { backend, power, disk } = stage;
  const ended = (signal: NodeJS.Signals) =>
    processFault(
      kind,
      "backend",
      awayMs,
      () => backend!.end(signal),
      () => backend!.start(),
    );
  switch (kind) {
    case "backend-restart":
      return ended(backend!.kind.stopSignal);
    case "backend-kill":
      return ended("SIGKILL");
    case "backend-immediate":
      return ended("SIGQUIT");
    case "backend-freeze":
      return processFault(
        kind,
        "backend",
        frozenMs,
        async () => backend!.freeze(),
        async () => backend!.thaw(),
      );
    case "backend-power-cut":
      return processFault(
        kind,
        "backend",
        awayMs,
        () => power!.cut(),
        () => backend!.start(),
      );
    case "disk-full":
      // A node that starts on a full disk of its own rightly gives up: its process is part of the target.
      return processFault(
        kind,
        backend === undefined ? node.name : "backend",
        500 + awayMs,
        async () => disk!.fill(),
        () => freeDisk(disk!, backend),
      );
    default:
      throw new Error(`${kind} is not about the backend`);
  }
}

function processFault(
  kind: FaultKind,
  target: string,
  durationMs: number,
  begin: () => Promise<void>,
  end: () => Promise<void>,
): Fault {
  return { kind, target, durationMs, begin, end };
}

/** How far behind its answers a server's log is that does not wait for it: PostgreSQL 0.6 s by default, Redis up to 2 s. */
const BEHIND_MS = 2_000;

/** A fault that ends a server whose answers do not wait for the disk, and may cost its newest. */
export function withLosses(fault: Fault, losses: LossWindow[]): Fault {
  let fromMs = 0;
  return {
    ...fault,
    begin() {
      fromMs = Date.now() - BEHIND_MS;
      return fault.begin();
    },
    async end() {
      await fault.end();
      losses.push({ fromMs, toMs: Date.now() });
    },
  };
}

/** A server that could not write may have ended. */
async function freeDisk(disk: Disk, backend: BackendServer | undefined): Promise<void> {
  disk.free();
  await backend?.start();
}

function cutFault(kind: FaultKind, target: string, proxy: TcpProxy, awayMs: number): Fault {
  return {
    kind,
    target,
    durationMs: awayMs,
    async begin() {
      proxy.refuse(awayMs > 0);
      proxy.cutAll();
    },
    async end() {
      proxy.refuse(false);
    },
  };
}

function delayFault(kind: FaultKind, target: string, proxy: TcpProxy, random: () => number): Fault {
  const [delayUpMs, delayDownMs] = [random() < 0.3 ? 0 : random() * 400, random() < 0.3 ? 0 : random() * 400];
  return {
    kind,
    target,
    durationMs: 1_000 + random() * 4_000,
    begin: async () => proxy.impair({ delayUpMs, delayDownMs }),
    end: async () => proxy.impair({}),
  };
}

const DIRECTIONS: readonly Direction[] = ["up", "down", "both"];

function blackHoleFault(kind: FaultKind, target: string, proxy: TcpProxy, random: () => number): Fault {
  const blackHole = DIRECTIONS[Math.floor(random() * DIRECTIONS.length)]!;
  // The network heals, and what was sent arrives late; or the links are gone for good, and whoever speaks is told.
  const heals = random() < 0.5;
  return {
    kind,
    target: `${target} (${blackHole})`,
    durationMs: 1_000 + random() * 9_000,
    begin: async () => proxy.impair({ blackHole }),
    async end() {
      if (!heals) proxy.cutAll();
      proxy.impair({});
    },
  };
}

/** Draws one to three faults that can happen at the same time. */
export function drawRound(kinds: readonly FaultKind[], stage: Stage): readonly Fault[] {
  const { random } = stage;
  const draw = random();
  const count = draw < 0.6 ? 1 : draw < 0.9 ? 2 : 3;
  const faults: Fault[] = [];
  for (let i = 0; i < count; i++) {
    const fault = drawFault(kinds[Math.floor(random() * kinds.length)]!, stage);
    const aim = (target: string) => target.split(" (")[0];
    if (!faults.some((other) => aim(other.target) === aim(fault.target))) faults.push(fault);
  }
  return faults;
}

const MAX_LAG_MS = 1_000;

/** Makes the faults of one round happen, and resolves when all are over. */
export async function runRound(
  faults: readonly Fault[],
  random: () => number,
  onFault: (fault: Fault, phase: "begins" | "is over") => void,
): Promise<void> {
  const lags = faults.map((_fault, i) => (i === 0 ? 0 : random() * MAX_LAG_MS));
  const outcomes = await Promise.allSettled(
    faults.map(async (fault, i) => {
      await pause(lags[i]!);
      onFault(fault, "begins");
      await fault.begin();
      await pause(fault.durationMs);
      await fault.end();
      onFault(fault, "is over");
    }),
  );
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}
