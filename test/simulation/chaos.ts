import type { FaultKind } from "./faults.ts";
import type { Part } from "./virtual-backend.ts";
import { NODES, type World } from "./world.ts";

const TWIN = "twin";
/** How much a fail-over loses. */
export const MAX_LOST_MS = 2_000;

/** The great events, each of a kind of fault. */
const EVENTS = {
  kills: kill,
  pauses: pause,
  cuts: cut,
  outages: outage,
  restarts: restart,
  "fail-overs": (world) => failOver(world, "entries"),
  restores: (world) => failOver(world, "everything"),
  "lost-records": (world) => failOver(world, "records"),
  twins: twin,
  clocks: stepClock,
} as const satisfies Partial<Record<FaultKind, (world: World) => Promise<void>>>;

/** Lets great events happen until `isOver`. Each ends by itself; `heal` ends those that have not. */
export async function runChaos(world: World, isOver: () => boolean): Promise<void> {
  const { faults, dice } = world;
  const kinds = (Object.keys(EVENTS) as (keyof typeof EVENTS)[]).filter((kind) => faults.kinds.has(kind));
  if (kinds.length === 0) return;
  for (;;) {
    await world.sleep(faults.eventEveryMs * dice.between(0.3, 1.7));
    if (isOver()) return;
    // Not waited for: several may happen at the same time.
    EVENTS[dice.pick(kinds)](world).catch((error: unknown) => world.fail(error));
  }
}

/** All nodes run and reach the backend, and no others. */
export function heal(world: World): void {
  world.kill(TWIN);
  for (const name of NODES) {
    const node = world.node(name) ?? world.start(name);
    world.scheduler.resume(node.party);
    node.storage.connect();
  }
}

async function kill(world: World): Promise<void> {
  const { dice } = world;
  const name = dice.pick(NODES);
  if (world.node(name) === undefined) return;
  world.kill(name);
  await world.sleep(dice.between(50, dice.chance(0.3) ? 8_000 : 1_500));
  if (world.node(name) === undefined) world.start(name);
}

/** As with SIGSTOP: time goes on without the node, sometimes beyond its lease. */
async function pause(world: World): Promise<void> {
  const { dice, scheduler } = world;
  const node = world.node(dice.pick(NODES));
  if (node === undefined) return;
  world.note(node.name, "is paused");
  scheduler.pause(node.party);
  await world.sleep(dice.pick([100, 2_000, 9_000]) * dice.between(0.5, 1.5));
  world.note(node.name, "goes on");
  scheduler.resume(node.party);
}

/** By mistake a second node is started under the name of one that runs, and ended when somebody notices. */
async function twin(world: World): Promise<void> {
  const { dice } = world;
  if (world.node(TWIN) !== undefined) return;
  world.start(TWIN, dice.pick(NODES));
  await world.sleep(dice.between(500, 9_000));
  world.kill(TWIN);
}

async function cut(world: World): Promise<void> {
  const open = world.connections();
  for (let left = 1 + world.dice.below(3); left > 0 && open.length > 0; left--) world.dice.pick(open).cut();
}

/** One node, or all of them, cannot reach the backend. */
async function outage(world: World): Promise<void> {
  const { dice } = world;
  const nodes = dice.chance(0.3) ? world.nodes : world.nodes.slice(0, 1 + dice.below(world.nodes.length));
  await away(world, nodes, dice.between(50, 5_000));
}

async function restart(world: World): Promise<void> {
  world.note("store", "restarts");
  world.backend.restart();
  await away(world, world.nodes, world.dice.between(50, 2_000));
}

async function failOver(world: World, part: Part): Promise<void> {
  const lostMs = world.dice.between(0, MAX_LOST_MS);
  world.note("store", `fails over and loses ${Math.round(lostMs)} ms of ${part}`);
  world.backend.failOver(lostMs, part);
  await away(world, world.nodes, world.dice.between(50, 2_000));
}

async function away(world: World, nodes: World["nodes"], ms: number): Promise<void> {
  for (const { storage, name } of nodes) {
    world.note(name, "cannot reach the store");
    storage.disconnect();
  }
  await world.sleep(ms);
  for (const { storage } of nodes) storage.connect();
}

async function stepClock(world: World): Promise<void> {
  const { dice } = world;
  if (world.nodes.length > 0) dice.pick(world.nodes).clock.step(dice.between(-30_000, 30_000));
}
