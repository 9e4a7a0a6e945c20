import { BusError } from "../core/errors.ts";
import { resolveRecipients } from "./recipients.ts";
import { requireRecipientsOrSender } from "./routing-config.ts";
import type { RoutingFactory } from "./routing-strategy.ts";
import { Turns } from "./turns.ts";

/**
 * Exactly one agent: of the configured recipients the first by id that is available, else the first; the others stand
 * by. Without configured recipients every sender names its one.
 */
export const individual: RoutingFactory = (routing) => {
  requireRecipientsOrSender(routing);
  const { recipients } = routing;
  const turns = new Turns();
  return {
    route(_draft, context) {
      if (recipients === undefined) {
        throw new BusError("RECIPIENT_REQUIRED", `channel ${context.channel.key} wants exactly one agent in \`to\``);
      }
      const all = resolveRecipients(recipients, context, turns, "skip");
      const others = all.filter((agentId) => agentId !== context.sender);
      return [others.find((agentId) => context.agents.isAvailable(agentId)) ?? others[0] ?? all[0]!];
    },
  };
};
