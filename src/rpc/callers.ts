import { BusError } from "../core/errors.ts";
import { ANYONE, type Authenticator, type Identity } from "../core/identity.ts";
import { checkAgentId, quote } from "../core/names.ts";

/** Who calls, and as whom it acts: the same for every way in. */
export interface Callers {
  /** Throws UNAUTHENTICATED. */
  identify(authorization: string | undefined): Identity;
  /** The agent that acts: the one the request names, else the token's. Throws AGENT_ID_REQUIRED, AGENT_NOT_ALLOWED. */
  actor(identity: Identity, agentId: string): string;
}

export function createCallers(authenticator: Authenticator): Callers {
  return {
    identify: (authorization) =>
      authenticator.required || authorization !== undefined ? authenticator.authenticate(authorization) : ANYONE,
    actor(identity, agentId) {
      const actor = agentId === "" ? identity.defaultAgentId : agentId;
      if (actor === "") throw new BusError("AGENT_ID_REQUIRED", "agent_id is empty and no API key says who acts");
      checkAgentId(actor);
      if (!identity.mayActFor(actor)) {
        throw new BusError("AGENT_NOT_ALLOWED", `the API key ${identity.name} may not act for ${quote(actor)}`);
      }
      return actor;
    },
  };
}
