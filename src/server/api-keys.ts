import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { BusError } from "../core/errors.ts";
import { ANYONE, type Authenticator, type Identity } from "../core/identity.ts";

export interface ApiKey {
  /** For logs. */
  readonly name: string;
  /** SHA-256 of the key, 64 hex digits in lower case. */
  readonly sha256: string;
  /** Agents it may act for: ids, or beginnings of ids followed by `*`. */
  readonly agents: readonly string[];
  readonly admin: boolean;
}

/** A longer header is refused unread; keys of `createApiKey` have 47 characters. */
const MAX_AUTHORIZATION_LENGTH = 1_024;
const BEARER = /^Bearer +([^\s]+) *$/i;

/** Knows callers by `authorization: Bearer <key>`. Without keys nobody needs one, and everyone may do everything. */
export function createApiKeyAuthenticator(keys: readonly ApiKey[]): Authenticator {
  if (keys.length === 0) return { required: false, authenticate: () => ANYONE };
  const byHash = new Map(keys.map((key) => [key.sha256.toLowerCase(), { key, identity: identityOf(key) }]));
  return {
    required: true,
    authenticate(authorization) {
      if (authorization === undefined || authorization === "") {
        throw new BusError(
          "UNAUTHENTICATED",
          "the authorization header is missing: send `authorization: Bearer <API key>`",
        );
      }
      const token = authorization.length > MAX_AUTHORIZATION_LENGTH ? undefined : BEARER.exec(authorization)?.[1];
      if (token === undefined) {
        throw new BusError("UNAUTHENTICATED", "the authorization header is not of the form `Bearer <API key>`");
      }
      // The map is searched by hashes, which a caller cannot choose: its timing tells nothing of a key.
      const digest = hash("sha256", token, "buffer");
      const known = byHash.get(digest.toString("hex"));
      if (known === undefined || !timingSafeEqual(digest, Buffer.from(known.key.sha256, "hex"))) {
        throw new BusError("UNAUTHENTICATED", "this server does not know the API key");
      }
      return known.identity;
    },
  };
}

/** A new key with 256 random bits, and the hash to configure for it. */
export function createApiKey(): { readonly key: string; readonly sha256: string } {
  const key = `bus_${randomBytes(32).toString("base64url")}`;
  return { key, sha256: hash("sha256", key, "hex") };
}

function identityOf({ name, agents, admin }: ApiKey): Identity {
  const exact = new Set(agents.filter((agent) => !agent.endsWith("*")));
  const prefixes = agents.filter((agent) => agent.endsWith("*")).map((agent) => agent.slice(0, -1));
  const [only] = exact;
  return {
    name,
    admin,
    defaultAgentId: agents.length === 1 && only !== undefined ? only : "",
    mayActFor: (agentId) => exact.has(agentId) || prefixes.some((prefix) => agentId.startsWith(prefix)),
  };
}
