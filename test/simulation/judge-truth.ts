import { maySee } from "../../src/core/message.ts";
import { showPlace } from "../support/history.ts";
import { type Rerouted, ROUTED } from "./administrator.ts";
import type { World } from "./world.ts";

/** What readers saw, against what the backend really holds: nothing else, and nothing that was not for them. */
export function judgeTruth(world: World): void {
  const agentOf = new Map<string, string>();
  for (const event of world.history.events) {
    if (event.kind === "opened") agentOf.set(event.stream, event.agent);
    if (event.kind !== "delivered") continue;
    const { place, stream, id } = event;
    const entry = world.backend.log(place.channel)?.entries[place.sequence - 1];
    // What was lost or deleted since is judged by the history alone.
    if (entry === undefined || entry.epoch !== place.epoch) continue;
    if (entry.id !== id || entry.sender !== event.sender) {
      world.violated(`${stream} was given ${id} at ${showPlace(place)}, where ${entry.id} is`);
    }
    if (!maySee(entry, agentOf.get(stream)!)) {
      world.violated(`${stream} was given ${id} at ${showPlace(place)}, which is for ${entry.audience}`);
    }
  }
}

/** A change of routing takes effect at exactly the sequence that it was answered with. */
export function judgeRouting(world: World, answers: readonly Rerouted[]): void {
  const entries = world.backend.log(ROUTED.key)?.entries ?? [];
  for (const { version, epoch, sequence, to } of answers) {
    for (const entry of entries) {
      // Behind a loss the numbers are others.
      if (entry.epoch !== epoch) continue;
      const text = `${ROUTED.key}: ${entry.id} at ${entry.sequence} was routed by version ${entry.version}`;
      const isBehind = entry.sequence > sequence;
      if (isBehind && entry.version < version) {
        world.violated(`${text}, though version ${version} was to hold behind ${sequence}`);
      }
      if (!isBehind && entry.version >= version) {
        world.violated(`${text}, though version ${version} was to hold only behind ${sequence}`);
      }
      if (entry.version === version && entry.audience?.join() !== to) {
        world.violated(`${text}, which routes to ${to}, for ${entry.audience}`);
      }
    }
  }
}
