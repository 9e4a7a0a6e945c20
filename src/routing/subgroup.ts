import { resolveRecipients } from "./recipients.ts";
import { requireRecipients } from "./routing-config.ts";
import type { RoutingFactory } from "./routing-strategy.ts";
import { Turns } from "./turns.ts";

/** The recipients of the channel's configuration, as they are at that moment. */
export const subgroup: RoutingFactory = (routing) => {
  const recipients = requireRecipients(routing);
  const turns = new Turns();
  return { route: (_draft, context) => resolveRecipients(recipients, context, turns, "skip") };
};
