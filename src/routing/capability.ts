import { BusError } from "../core/errors.ts";
import { quote } from "../core/names.ts";
import { checkAudience, takeInTurn } from "./recipients.ts";
import type { RoutingFactory } from "./routing-strategy.ts";
import { Turns } from "./turns.ts";

/**
 * The members, but for the sender, that have all configured capabilities; when none is configured, the one that the
 * message's `name` says. With a limit so many of them in turn, those available first.
 */
export const capability: RoutingFactory = (routing) => {
  const turns = new Turns();
  return {
    route(draft, context) {
      const capabilities = routing.capabilities.length > 0 ? routing.capabilities : [draft.name];
      if (capabilities.includes("")) {
        throw new BusError(
          "NO_CANDIDATE",
          `channel ${context.channel.key} is routed by capability: set the message's name`,
        );
      }
      const fitting = context.agents
        .fitting({ kinds: [], labels: {}, capabilities, limit: 0 })
        .filter((agentId) => context.members.has(agentId) && agentId !== context.sender);
      if (fitting.length === 0) {
        const wanted = capabilities.map(quote).join(", ");
        throw new BusError("NO_CANDIDATE", `no other member of ${context.channel.key} has capability ${wanted}`);
      }
      const taken = [...takeInTurn(fitting, routing.limit, JSON.stringify(capabilities), context, turns)].sort();
      checkAudience(taken.length, context);
      return taken;
    },
  };
};
