import type { Bus } from "../../src/bus/bus.ts";
import { isBusError } from "../../src/core/errors.ts";
import type { RoutingConfig } from "../../src/core/room.ts";
import { outcomeOf } from "./outcome.ts";
import { channelOf, type World } from "./world.ts";

export const DOOMED = channelOf("doomed");
export const ROUTED = channelOf("routed");
export const OPEN = channelOf("open");
/** Keeps so few messages only. */
export const BRIEF = channelOf("brief");
export const BRIEF_MESSAGES = 3;
/** Whose members come and go. */
export const CREW = "crew";

/** A change of routing that was answered: what lies behind the sequence was routed by this version or a newer one. */
export interface Rerouted {
  readonly version: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly to: string;
}

/** Sends all that comes to one agent, so that an audience tells by which routing it was made. */
export function routingTo(agent: string): RoutingConfig {
  return {
    strategy: "INDIVIDUAL",
    allowSenderRecipients: true,
    recipients: { agents: [agent], groups: [], select: undefined },
    capabilities: [],
    limit: 0,
    custom: "",
  };
}

export interface AdministratorOptions {
  readonly pauseMs: number;
  readonly isOver: () => boolean;
}

/** Changes the routing of one channel, over any node. Answers what was answered. */
export async function changeRouting(
  world: World,
  agents: readonly string[],
  { pauseMs, isOver }: AdministratorOptions,
): Promise<readonly Rerouted[]> {
  const answered: Rerouted[] = [];
  for (;;) {
    await world.sleep(world.dice.between(0, pauseMs));
    if (isOver()) return answered;
    const to = world.dice.pick(agents);
    const answer = await ask(world, (bus) => bus.rooms.updateChannel(ROUTED, { config: { routing: routingTo(to) } }));
    if (answer === undefined) continue;
    const { channel, epoch, sequence } = answer;
    world.note("admin", `routes ${ROUTED.key} to ${to} behind ${sequence} (version ${channel.version})`);
    answered.push({ version: channel.version, epoch, sequence, to });
  }
}

/** Deletes a channel that others create again by using it. */
export async function deleteAndCreate(world: World, { pauseMs, isOver }: AdministratorOptions): Promise<void> {
  for (;;) {
    await world.sleep(world.dice.between(0, pauseMs));
    if (isOver()) return;
    await ask(world, (bus) => bus.rooms.deleteChannel(DOOMED));
    world.note("admin", `deleted ${DOOMED.key}, or tried to`);
  }
}

/** An agent joins and leaves. */
export async function joinAndLeave(world: World, agent: string, options: AdministratorOptions): Promise<void> {
  for (;;) {
    await world.sleep(world.dice.between(0, options.pauseMs));
    if (options.isOver()) return;
    const joins = world.dice.chance(0.5);
    await ask(world, async (bus) => {
      await bus.agents.ensure(agent);
      return joins ? await bus.rooms.join(agent, OPEN) : await bus.rooms.leave(agent, OPEN);
    });
  }
}

/** Agents come to be in the group, and leave it. */
export async function changeGroups(
  world: World,
  agents: readonly string[],
  { pauseMs, isOver }: AdministratorOptions,
): Promise<void> {
  for (;;) {
    await world.sleep(world.dice.between(0, pauseMs));
    if (isOver()) return;
    const groups = world.dice.chance(0.5) ? [CREW] : [];
    const agent = world.dice.pick(agents);
    await ask(world, (bus) => bus.agents.update(agent, { groups }));
  }
}

/** Undefined: it failed, or nobody knows. */
export async function ask<T>(world: World, request: (bus: Bus) => T | Promise<T>): Promise<T | undefined> {
  const connection = world.connect();
  if (connection === undefined) return undefined;
  try {
    return await connection.call(request);
  } catch (error) {
    if (!isBusError(error, "CHANNEL_FULL")) outcomeOf(error);
    return undefined;
  } finally {
    world.release(connection);
  }
}

/** Asks until it is answered. */
export async function insist<T>(world: World, request: (bus: Bus) => T | Promise<T>): Promise<T> {
  for (;;) {
    const answer = await ask(world, request);
    if (answer !== undefined) return answer;
    await world.sleep(world.dice.between(10, 200));
  }
}
