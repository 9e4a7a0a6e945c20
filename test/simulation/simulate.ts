import type { ChannelConfigPatch } from "../../src/core/room.ts";
import { type Checked, checkHistory } from "../support/checker.ts";
import type { History } from "../support/history.ts";
import {
  BRIEF,
  BRIEF_MESSAGES,
  CREW,
  changeGroups,
  changeRouting,
  deleteAndCreate,
  insist,
  joinAndLeave,
  type Rerouted,
  ROUTED,
  routingTo,
} from "./administrator.ts";
import { AGENTS, CHANNELS, chooseProducers, chooseReaders, chooseRivals, chooseVisitors, INBOXES } from "./cast.ts";
import { heal, MAX_LOST_MS, runChaos } from "./chaos.ts";
import { closeEverything } from "./closing.ts";
import { CALM, chooseFaults, FAULT_KINDS, type FaultKind } from "./faults.ts";
import { judgeRouting, judgeTruth } from "./judge-truth.ts";
import { runLineProducer } from "./line-producer.ts";
import { runProducer } from "./producer.ts";
import { Reader } from "./reader.ts";
import { changeDefaults, describeAnew, INHERITED, judgeDefaults, type Redefault } from "./room-changes.ts";
import { recordFinalLogs, settle } from "./settling.ts";
import { broadcast, chooseListeners, judgeVolatile, VOLATILE } from "./volatile.ts";
import { Watcher } from "./watcher.ts";
import { NODES, type TraceLine, World } from "./world.ts";

export interface SimulationOptions {
  readonly seed: number;
  /** Kinds of faults that a run may have. Default: all. */
  readonly allowed?: ReadonlySet<FaultKind>;
}

export interface SimulationReport {
  readonly seed: number;
  /** Broken promises, in words; empty: none. */
  readonly violations: readonly string[];
  readonly kinds: readonly FaultKind[];
  readonly checked: Checked;
  readonly history: History;
  readonly trace: readonly TraceLine[];
  /** Events of virtual time. */
  readonly events: number;
}

const SETUP_MS = 10_000;
const FINISH_MS = 40_000;

/** One run: three nodes, their clients and an adversary; then quiet, and the judgement. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const world = new World(options.seed);
  const { scheduler, dice } = world;
  const run = async (what: string, isDone: () => boolean, limitMs: number) => {
    const isThere = await scheduler.run(() => {
      world.throwFailure();
      return isDone();
    }, limitMs);
    if (!isThere) world.violated(`${what} did not happen within ${limitMs / 1_000} s`);
    return isThere;
  };
  const client = (task: () => Promise<void>) => {
    let isOver = false;
    void world.runClient(task).then(() => {
      isOver = true;
    });
    return () => isOver;
  };
  let kinds: readonly FaultKind[] = [];
  try {
    for (const name of NODES) world.start(name);
    const isPrepared = client(async () => {
      await prepare(world);
      // So that no fail-over takes the agents away.
      await world.sleep(MAX_LOST_MS);
    });
    await run("the preparation", isPrepared, SETUP_MS);

    world.faults = chooseFaults(dice, options.allowed ?? new Set(FAULT_KINDS));
    kinds = [...world.faults.kinds];
    world.note("chaos", `begins: ${kinds.join(", ")}`);
    let isQuiet = false;
    const isOver = () => isQuiet;
    const readers = chooseReaders(dice).map((cast) => ({ cast, reader: new Reader(world, cast) }));
    const rivals = chooseRivals(dice).map((cast) => new Reader(world, cast));
    const visitors = chooseVisitors(dice).map((cast) => new Reader(world, cast));
    const watchers = Array.from({ length: dice.below(3) }, (_, i) => new Watcher(world, `watcher-${i + 1}`));
    for (const reader of [...readers.map(({ reader }) => reader), ...rivals, ...visitors, ...watchers]) {
      client(async () => {
        await world.sleep(dice.between(0, 3_000));
        await reader.run();
      });
    }
    let rerouted: readonly Rerouted[] = [];
    let redefaulted: readonly Redefault[] = [];
    const workers = [
      ...chooseProducers(dice, isOver).map((cast) =>
        client(() => (cast.streams ? runLineProducer(world, cast) : runProducer(world, cast))),
      ),
      client(async () => {
        if (dice.chance(0.6)) rerouted = await changeRouting(world, ["cid", "dot", "eve"], { pauseMs: 2_500, isOver });
      }),
      client(async () => {
        if (!dice.chance(0.5)) return;
        redefaulted = await changeDefaults(world, ["cid", "dot", "eve", "fay"], { pauseMs: 2_500, isOver });
      }),
      client(async () => {
        if (dice.chance(0.5)) await describeAnew(world, { pauseMs: 2_000, isOver });
      }),
      client(async () => {
        if (dice.chance(0.4)) await changeGroups(world, ["dot", "eve"], { pauseMs: 1_500, isOver });
      }),
      client(async () => {
        if (dice.chance(0.4)) await deleteAndCreate(world, { pauseMs: 6_000, isOver });
      }),
      client(async () => {
        if (dice.chance(0.4)) await joinAndLeave(world, "vic", { pauseMs: 2_000, isOver });
      }),
    ];
    const listeners = chooseListeners(dice).map((cast) => new Reader(world, cast, world.volatileHistory));
    for (const listener of listeners) client(() => listener.run());
    if (listeners.length > 0) {
      for (const agent of ["ann", "ben"]) workers.push(client(() => broadcast(world, agent, isOver)));
    }
    client(() => runChaos(world, isOver));
    await scheduler.run(
      () => {
        world.throwFailure();
        return false;
      },
      dice.between(4_000, 16_000),
    );

    isQuiet = true;
    // Rings go on being lost until the last messages are stored: later ones would make good for them.
    world.faults = { ...CALM, ringLost: world.faults.ringLost };
    world.isQuiet = true;
    heal(world);
    world.note("chaos", "ends");
    for (const visitor of visitors) if (dice.chance(0.6)) visitor.stop(dice.chance(0.5));
    await run("the end of the clients' work", () => workers.every((isDone) => isDone()), FINISH_MS);
    const isRecorded = client(() => recordFinalLogs(world));
    const isRead = await run("reading the final logs", isRecorded, FINISH_MS);
    world.faults = CALM;
    if (isRead) await settle(world, run, kinds, { readers, rivals, visitors, watchers });
    judgeTruth(world);
    judgeVolatile(world, kinds);
    judgeRouting(world, rerouted);
    judgeDefaults(world, redefaulted);
    for (const watcher of watchers) watcher.stop();
    await closeEverything(world, run, [...readers.map(({ reader }) => reader), ...rivals, ...visitors, ...listeners]);
  } catch (error) {
    world.violated(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  const { violations, checked } = checkHistory(world.history.events);
  return {
    seed: options.seed,
    violations: [...violations.map(({ rule, text }) => `${rule}: ${text}`), ...world.violations],
    kinds,
    checked,
    history: world.history,
    trace: world.trace,
    events: scheduler.ran,
  };
}

async function prepare(world: World): Promise<void> {
  for (const agent of [...AGENTS, "gus", "val", "vic"])
    await insist(world, async (bus) => await bus.agents.ensure(agent));
  for (const agent of INBOXES) await insist(world, async (bus) => await bus.rooms.ensureInbox(agent));
  await insist(world, (bus) => bus.agents.update("cid", { groups: [CREW] }));
  const routing = routingTo("cid");
  await insist(world, (bus) =>
    bus.rooms.createRoom({ room: INHERITED.room, description: "", metadata: {}, defaults: { routing } }),
  );
  const configs: Readonly<Record<string, ChannelConfigPatch>> = {
    [ROUTED.key]: { routing },
    [VOLATILE.key]: { durability: "VOLATILE" },
    [BRIEF.key]: { retention: { maxMessages: BRIEF_MESSAGES } },
  };
  for (const name of [...CHANNELS, VOLATILE.key]) {
    const config = configs[name] ?? {};
    const [room, channel] = name.split(":") as [string, string];
    await insist(world, (bus) =>
      bus.rooms.createChannel({ name: { room, channel, key: name }, description: "", metadata: {}, config }, true),
    );
  }
}
