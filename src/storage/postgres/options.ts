import { type IntegerOption, resolveIntegerOptions } from "../storage-options.ts";

export interface PostgresStorageOptions {
  /**
   * Name of the schema that holds this bus; several buses share a database under different ones. 1 to 40 of a-z, 0-9 and
   * _, not starting with a digit or `pg_`. Default "agentbus".
   */
  readonly prefix?: string;
  /**
   * Where to LISTEN, when `url` leads to a pooler in transaction mode, which loses notifications: a URL of the server
   * itself. Such a pooler must pass prepared statements on (PgBouncer: 1.21 or newer, max_prepared_statements above 0); in
   * session mode nothing is needed. Default: the storage's URL.
   */
  readonly listenUrl?: string;
  /** Connections at most, for queries; one more listens. 1 to 200. Default 8. */
  readonly maxConnections?: number;
  /** How long connecting may take, in milliseconds. 100 to 60,000. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** How long one operation may take, in milliseconds; then STORAGE_UNAVAILABLE. 100 to 60,000. Default 5,000. */
  readonly timeoutMs?: number;
  /**
   * The listening connection is asked so often, in milliseconds, whether it is still alive; no answer within the same time
   * means that it is not. 100 to 60,000. Default 5,000.
   */
  readonly heartbeatMs?: number;
  /** Bytes of message bodies that may wait to be stored; beyond, OVERLOADED. 1 MiB to 2^32. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** Packets on their way to other nodes, or waiting to be heard; beyond, they are dropped. 1 MiB to 1 GiB. Default 32 MiB. */
  readonly maxRelayBytes?: number;
  /**
   * Idempotency keys that the server keeps, of all channels together; the sweep removes the oldest beyond, even when they are
   * younger than their channel's window. About 150 bytes each with their index. 1 to 16,000,000. Default 16,000,000.
   */
  readonly dedupKeys?: number;
}

const INTEGERS = {
  maxConnections: { default: 8, min: 1, max: 200 },
  connectTimeoutMs: { default: 5_000, min: 100, max: 60_000 },
  timeoutMs: { default: 5_000, min: 100, max: 60_000 },
  heartbeatMs: { default: 5_000, min: 100, max: 60_000 },
  maxPendingBytes: { default: 64 * 2 ** 20, min: 2 ** 20, max: 2 ** 32 },
  maxRelayBytes: { default: 32 * 2 ** 20, min: 2 ** 20, max: 2 ** 30 },
  dedupKeys: { default: 16_000_000, min: 1, max: 16_000_000 },
} as const satisfies Partial<Record<keyof PostgresStorageOptions, IntegerOption>>;

const PREFIX = /^(?!pg_)[a-z_][a-z0-9_]{0,39}$/;
/** All but the first and the last verify the server's certificate and name. */
const SSL_MODES = ["disable", "require", "verify-ca", "verify-full", "no-verify"];

export interface ResolvedPostgresOptions extends Readonly<Record<keyof typeof INTEGERS, number>> {
  readonly url: string;
  readonly listenUrl: string;
  readonly prefix: string;
}

/** Fills in defaults. Throws one Error that names every fault. */
export function resolvePostgresOptions(
  url: string,
  options: PostgresStorageOptions | Readonly<Record<string, unknown>>,
): ResolvedPostgresOptions {
  const { prefix = "agentbus", listenUrl = url, ...integers } = options;
  const faults: string[] = [];
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    faults.push(
      `prefix must be 1 to 40 of a-z 0-9 _, not starting with a digit or pg_, not ${JSON.stringify(prefix) ?? String(prefix)}`,
    );
  }
  faults.push(...urlFaults("the URL", url), ...(listenUrl === url ? [] : urlFaults("listenUrl", listenUrl)));
  let resolved: Readonly<Record<keyof typeof INTEGERS, number>> | undefined;
  try {
    resolved = resolveIntegerOptions("postgres", integers, INTEGERS);
  } catch (error) {
    faults.push((error as Error).message.replace("options of the postgres storage: ", ""));
  }
  if (resolved === undefined || faults.length > 0) {
    throw new Error(`options of the postgres storage: ${faults.join("; ")}`);
  }
  return { ...resolved, url: verified(url), listenUrl: verified(listenUrl as string), prefix: prefix as string };
}

/** The driver means verify-full by the milder modes, too, and warns that it will not for ever: said outright. */
function verified(url: string): string {
  if (url.includes("uselibpqcompat=")) return url;
  return url.replace(/([?&]sslmode=)(?:require|verify-ca)(?=&|$)/, "$1verify-full");
}

/** Never says the URL itself: it may hold a password. */
function urlFaults(what: string, url: unknown): string[] {
  const form = "postgres://user:password@host:5432/database";
  if (typeof url !== "string" || !URL.canParse(url)) return [`${what} must be of the form ${form}`];
  const parsed = new URL(url);
  if (parsed.protocol !== "postgres:" && parsed.protocol !== "postgresql:") {
    return [`${what} must start with postgres:// or postgresql://, not ${parsed.protocol}`];
  }
  const sslmode = parsed.searchParams.get("sslmode");
  if (sslmode !== null && !SSL_MODES.includes(sslmode)) {
    return [`${what}: sslmode must be one of ${SSL_MODES.join(", ")}, not ${JSON.stringify(sslmode)}`];
  }
  return [];
}
