import type { HandlerContext } from "@connectrpc/connect";

/** Who calls, for the handlers that translate between wire and domain. */
export interface Access {
  /** The agent that acts: the one the request names, else the token's. Throws AGENT_ID_REQUIRED, AGENT_NOT_ALLOWED. */
  actor(context: HandlerContext, agentId: string): string;
  /** Throws ADMIN_ONLY. */
  requireAdmin(context: HandlerContext): void;
}
