import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { ANYONE, type Identity } from "../core/identity.ts";

/** Set by the authenticating interceptor, read by handlers. */
export const identityKey = createContextKey<Identity>(ANYONE, { description: "who calls" });

export function identityOf(context: Pick<HandlerContext, "values">): Identity {
  return context.values.get(identityKey);
}
