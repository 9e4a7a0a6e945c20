import { BusError } from "../core/errors.ts";
import type { Recipients } from "../core/message.ts";
import type { RoutingConfig } from "../core/room.ts";
import { requireSomebody } from "./recipients.ts";

/** What SUBGROUP cannot do without. Throws INVALID_FIELD or EMPTY_RECIPIENTS. */
export function requireRecipients(routing: RoutingConfig): Recipients {
  if (routing.recipients === undefined) throw unset(routing, "SUBGROUP needs recipients");
  requireSomebody(routing.recipients);
  return routing.recipients;
}

/** INDIVIDUAL has an agent to choose, or lets the sender choose. Throws INVALID_FIELD or EMPTY_RECIPIENTS. */
export function requireRecipientsOrSender(routing: RoutingConfig): void {
  if (routing.recipients !== undefined) requireSomebody(routing.recipients);
  else if (!routing.allowSenderRecipients) {
    throw unset(routing, "INDIVIDUAL needs recipients when senders may not name one (allow_sender_recipients)");
  }
}

function unset(routing: RoutingConfig, description: string): BusError {
  return new BusError("INVALID_FIELD", `routing ${routing.strategy}: ${description}`, {
    violations: [{ field: "routing.recipients", description }],
  });
}
