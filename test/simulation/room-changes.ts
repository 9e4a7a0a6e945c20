import { channelName } from "../../src/core/names.ts";
import { type AdministratorOptions, ask, routingTo } from "./administrator.ts";
import type { World } from "./world.ts";

/** A channel in a room of its own that has its routing from there. */
export const INHERITED = channelName("hall", "inherits");

/** A change of the room's routing, in the order in which one administrator asked for them. */
export interface Redefault {
  readonly to: string;
  /** Where it was answered to hold; undefined: nobody knows whether, and when, it was done. */
  readonly behind: { readonly epoch: number; readonly sequence: number } | undefined;
}

/** Changes the defaults of the room, over any node. */
export async function changeDefaults(
  world: World,
  agents: readonly string[],
  { pauseMs, isOver }: AdministratorOptions,
): Promise<readonly Redefault[]> {
  const changes: Redefault[] = [];
  for (;;) {
    await world.sleep(world.dice.between(0, pauseMs));
    if (isOver()) return changes;
    // Each to another one than before, so that an audience tells of which change it is.
    const to = agents[changes.length % agents.length]!;
    const answer = await ask(world, (bus) => bus.rooms.updateRoom("hall", { defaults: { routing: routingTo(to) } }));
    const behind = answer?.effective.find(({ key }) => key === INHERITED.key);
    world.note(
      "admin",
      `routes ${INHERITED.key} by its room to ${to} behind ${behind?.sequence ?? "nobody knows what"}`,
    );
    changes.push({ to, behind });
  }
}

/** Changes what has nothing to do with routing, of the room or of the channel: it must not hide a change that has. */
export async function describeAnew(world: World, { pauseMs, isOver }: AdministratorOptions): Promise<void> {
  for (let i = 0; ; i++) {
    await world.sleep(world.dice.between(0, pauseMs));
    if (isOver()) return;
    const patch = { description: `description ${i}` };
    await ask(world, async (bus) => {
      if (world.dice.chance(0.5)) await bus.rooms.updateRoom("hall", patch);
      else await bus.rooms.updateChannel(INHERITED, patch);
    });
  }
}

/** Behind an answered change, messages go where it says, or where a change goes that may have come later. */
export function judgeDefaults(world: World, changes: readonly Redefault[]): void {
  const entries = world.backend.log(INHERITED.key)?.entries ?? [];
  changes.forEach(({ behind, to }, i) => {
    if (behind === undefined) return;
    const allowed = new Set([to]);
    for (const [j, other] of changes.entries()) if (j > i || other.behind === undefined) allowed.add(other.to);
    for (const entry of entries) {
      // Behind a loss the numbers are others.
      if (entry.epoch !== behind.epoch || entry.sequence <= behind.sequence) continue;
      const audience = entry.audience?.join() ?? "everyone";
      if (allowed.has(audience)) continue;
      world.violated(
        `${INHERITED.key}: ${entry.id} at ${entry.sequence} is for ${audience}, though the room routes to ${to} behind ${behind.sequence}`,
      );
    }
  });
}
