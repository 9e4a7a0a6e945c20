import { BusError } from "../core/errors.ts";
import type { Recipients, Selection } from "../core/message.ts";
import { quote } from "../core/names.ts";
import type { RoutingContext } from "./routing-strategy.ts";
import type { Turns } from "./turns.ts";

/**
 * Those who are named, as they are now: the union of agents, groups and selection; sorted, without doubles, at least
 * one. The sender is never taken by a selection: nobody asks itself for help.
 *
 * `absent` says what an agent or group that does not exist means: "refuse" for what a sender wrote
 * (UNKNOWN_RECIPIENT), "skip" for a channel's configuration, which outlives the agents it names. Nobody left is
 * NO_CANDIDATE, more than `maxAudience` TOO_MANY, nobody named EMPTY_RECIPIENTS.
 */
export function resolveRecipients(
  to: Recipients,
  context: RoutingContext,
  turns: Turns,
  absent: "refuse" | "skip" = "refuse",
): readonly string[] {
  requireSomebody(to);
  const found = new Set<string>();
  for (const agentId of to.agents) {
    if (context.agents.exists(agentId)) found.add(agentId);
    else if (absent === "refuse")
      throw new BusError("UNKNOWN_RECIPIENT", `to.agents: there is no agent ${quote(agentId)}`);
  }
  for (const group of to.groups) {
    const members = context.agents.inGroup(group);
    if (members.length === 0 && absent === "refuse") {
      throw new BusError("UNKNOWN_RECIPIENT", `to.groups: no agent is in group ${quote(group)}`);
    }
    for (const agentId of members) found.add(agentId);
  }
  if (to.select !== undefined) {
    const selected = resolveSelection(to.select, context, turns);
    if (selected.length === 0 && absent === "refuse") throw noneFits(to.select);
    for (const agentId of selected) found.add(agentId);
  }
  if (found.size === 0)
    throw new BusError("NO_CANDIDATE", "of the recipients that the channel is routed to, none exists now");
  checkAudience(found.size, context);
  return [...found].sort();
}

/** Throws EMPTY_RECIPIENTS when nobody is named; an empty description names nobody, it does not name everybody. */
export function requireSomebody(to: Recipients): void {
  const { select } = to;
  if (select !== undefined) {
    const described = select.kinds.length + select.capabilities.length + Object.keys(select.labels).length > 0;
    if (!described) throw new BusError("EMPTY_RECIPIENTS", "to.select: set kinds, labels or capabilities");
    return;
  }
  if (to.agents.length + to.groups.length === 0) {
    throw new BusError(
      "EMPTY_RECIPIENTS",
      "`to` names no agent, no group and no selection; leave it unset to let the channel's routing decide",
    );
  }
}

/** Takes `limit` of the candidates (sorted), in turn, those that are available first; 0: all of them. */
export function takeInTurn(
  candidates: readonly string[],
  limit: number,
  key: string,
  context: RoutingContext,
  turns: Turns,
): readonly string[] {
  if (limit === 0 || candidates.length <= limit) return candidates;
  const available = candidates.filter((agentId) => context.agents.isAvailable(agentId));
  const taken = turns.take(key, available, limit);
  if (taken.length === limit) return taken;
  const others = candidates.filter((agentId) => !context.agents.isAvailable(agentId));
  return [...taken, ...turns.take(`${key} unavailable`, others, limit - taken.length)];
}

/** Throws TOO_MANY for an audience that is larger than the bus allows. */
export function checkAudience(size: number, context: RoutingContext): void {
  if (size <= context.maxAudience) return;
  throw new BusError(
    "TOO_MANY",
    `the message is for ${size} agents, more than limits.audience (${context.maxAudience})`,
  );
}

function resolveSelection(select: Selection, context: RoutingContext, turns: Turns): readonly string[] {
  const fitting = context.agents.fitting(select).filter((agentId) => agentId !== context.sender);
  return takeInTurn(fitting, select.limit, selectionKey(select), context, turns);
}

function selectionKey(select: Selection): string {
  const labels = Object.entries(select.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([[...select.kinds].sort(), labels, [...select.capabilities].sort()]);
}

function noneFits(select: Selection): BusError {
  const parts = [
    ...select.kinds.map((kind) => `kind ${kind}`),
    ...Object.entries(select.labels).map(([key, value]) => `label ${quote(`${key}=${value}`)}`),
    ...select.capabilities.map((name) => `capability ${quote(name)}`),
  ];
  return new BusError("NO_CANDIDATE", `to.select: no other agent has ${parts.slice(0, 8).join(", ")}`);
}
