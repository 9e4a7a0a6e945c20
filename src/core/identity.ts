/** Who a call's token says it is, and for whom it may act. */
export interface Identity {
  /** The token's name, for logs. */
  readonly name: string;
  /** Who acts when the request names nobody; "": nobody. */
  readonly defaultAgentId: string;
  readonly admin: boolean;
  mayActFor(agentId: string): boolean;
}

/** Access control is off: everyone may act for everyone. */
export const ANYONE: Identity = { name: "anyone", defaultAgentId: "", admin: true, mayActFor: () => true };

/** Tells who calls from the call's `authorization` header. Throws UNAUTHENTICATED. */
export interface Authenticator {
  /** Whether calls need a token at all. */
  readonly required: boolean;
  authenticate(authorization: string | undefined): Identity;
}
