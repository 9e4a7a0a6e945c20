import { BusError } from "../core/errors.ts";
import type { Audience, Draft } from "../core/message.ts";
import { quote } from "../core/names.ts";
import { checkAudience, resolveRecipients } from "./recipients.ts";
import type { RoutingContext, RoutingStrategy } from "./routing-strategy.ts";
import type { Turns } from "./turns.ts";

/**
 * Who may read this message: those whom its sender named, where the channel allows it, else those whom the channel's
 * strategy chooses. Null: every reader; else agents that exist, sorted, without doubles, at least one.
 *
 * `turns` serves senders' selections with a limit; one for each channel.
 */
export function decideAudience(
  draft: Draft,
  context: RoutingContext,
  strategy: RoutingStrategy,
  turns: Turns,
): Audience {
  if (draft.to === undefined) {
    const audience = strategy.route(draft, context);
    return context.routing.strategy === "CUSTOM" ? checked(audience, context) : audience;
  }
  if (!context.routing.allowSenderRecipients) {
    throw new BusError(
      "RECIPIENTS_NOT_ALLOWED",
      `channel ${context.channel.key} does not let senders choose (allow_sender_recipients): leave \`to\` unset`,
    );
  }
  const named = resolveRecipients(draft.to, context, turns);
  if (context.routing.strategy === "INDIVIDUAL" && named.length !== 1) {
    throw new BusError(
      "RECIPIENT_REQUIRED",
      `channel ${context.channel.key} wants exactly one agent in \`to\`, which names ${named.length}`,
    );
  }
  return named;
}

/** A registered strategy is somebody else's code: what readers rely on is made sure here. */
function checked(audience: Audience, context: RoutingContext): Audience {
  if (audience === null) return null;
  const unknown = audience.find((agentId) => !context.agents.exists(agentId));
  if (unknown !== undefined) {
    const who = `routing strategy ${quote(context.routing.custom)}`;
    throw new BusError("UNKNOWN_RECIPIENT", `${who} chose agent ${quote(unknown)}, which does not exist`);
  }
  const agents = [...new Set(audience)].sort();
  if (agents.length === 0) {
    throw new BusError("NO_CANDIDATE", `routing strategy ${quote(context.routing.custom)} chose nobody`);
  }
  checkAudience(agents.length, context);
  return agents;
}
