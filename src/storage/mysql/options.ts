import { readFileSync } from "node:fs";
import { DEFAULT_DEDUP_KEYS } from "../dedup-window.ts";
import { type IntegerOption, resolveIntegerOptions } from "../storage-options.ts";

export interface MysqlStorageOptions {
  /** What the tables' names begin with, so that several buses share one database. 1 to 32 of a-z 0-9 _. Default "agentbus". */
  readonly prefix?: string;
  /** Connections at the most. 1 to 500. Default 8. */
  readonly poolSize?: number;
  /** Operations that may wait for a connection; beyond, they are refused with OVERLOADED. 1 to 1,000,000. Default 10,000. */
  readonly maxWaiting?: number;
  /** After so long without an outcome, an operation fails with STORAGE_UNAVAILABLE. 100 to 600,000 ms. Default 5,000. */
  readonly timeoutMs?: number;
  /** For a connection to be made and greeted. 100 to 600,000 ms. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Bodies of messages that may wait to be stored; beyond, OVERLOADED. 1 MiB to 2^53 - 1. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** Messages that one transaction stores at the most. 100 to 100,000. Default 2,000. */
  readonly maxGroupRecords?: number;
  /**
   * Idempotency keys that a node keeps in memory, of all channels together; beyond, the oldest are forgotten, which matters
   * when they are younger than their channel's window. 44 bytes each, taken as they come. 1 to 16,000,000. Default
   * 1,000,000.
   */
  readonly dedupKeys?: number;
  /**
   * So soon is the server asked again for what other nodes rang, while every answer has something; without news it is asked
   * less and less often, every 500 ms in the end. 1 to 500 ms. Default 4.
   */
  readonly pollMs?: number;
  /**
   * "disabled": plain text. "required": encrypted, whoever the server is. "verify-ca": its certificate must be signed by a
   * known authority. "verify-identity": and bear the host's name. Default: "verify-identity" when tlsCaFile or tlsCertFile
   * is given, else "disabled". In the URL: ?ssl-mode=
   */
  readonly tlsMode?: TlsMode;
  /** PEM file of the authorities to trust. Default: those that Node.js trusts. In the URL: ?ssl-ca= */
  readonly tlsCaFile?: string;
  /** PEM file of this program's own certificate. In the URL: ?ssl-cert= */
  readonly tlsCertFile?: string;
  /** PEM file of its key. In the URL: ?ssl-key= */
  readonly tlsKeyFile?: string;
}

export const TLS_MODES = ["disabled", "required", "verify-ca", "verify-identity"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface ResolvedMysqlOptions {
  readonly address: ServerAddress;
  readonly prefix: string;
  readonly poolSize: number;
  readonly maxWaiting: number;
  readonly timeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly maxPendingBytes: number;
  readonly maxGroupRecords: number;
  readonly dedupKeys: number;
  readonly pollMs: number;
  readonly tls: ResolvedTls | undefined;
}

export interface ResolvedTls {
  readonly minVersion: "TLSv1.2";
  readonly rejectUnauthorized: boolean;
  readonly verifyIdentity: boolean;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

const INTEGERS = {
  poolSize: { default: 8, min: 1, max: 500 },
  maxWaiting: { default: 10_000, min: 1, max: 1_000_000 },
  timeoutMs: { default: 5_000, min: 100, max: 600_000 },
  connectTimeoutMs: { default: 5_000, min: 100, max: 600_000 },
  maxPendingBytes: { default: 64 * 2 ** 20, min: 2 ** 20, max: Number.MAX_SAFE_INTEGER },
  maxGroupRecords: { default: 2_000, min: 100, max: 100_000 },
  dedupKeys: { default: DEFAULT_DEDUP_KEYS, min: 1, max: 16_000_000 },
  pollMs: { default: 4, min: 1, max: 500 },
} as const satisfies Record<string, IntegerOption>;

const DEFAULT_PORT = 3306;
const PREFIX = /^[a-z0-9_]{1,32}$/;
const TLS_OPTIONS = { tlsCaFile: "ca", tlsCertFile: "cert", tlsKeyFile: "key" } as const;
/** Options that the URL may carry, by the names that MySQL's own URLs have. */
const IN_URL: ReadonlyMap<string, keyof MysqlStorageOptions> = new Map([
  ["ssl-mode", "tlsMode"],
  ["ssl-ca", "tlsCaFile"],
  ["ssl-cert", "tlsCertFile"],
  ["ssl-key", "tlsKeyFile"],
]);

/** Throws one Error that names everything that is wrong; never the password. */
export function resolveMysqlOptions(url: string, options: Readonly<Record<string, unknown>>): ResolvedMysqlOptions {
  const faults: string[] = [];
  const { address, query } = readUrl(url, faults);
  const { prefix = "agentbus", tlsMode, tlsCaFile, tlsCertFile, tlsKeyFile, ...integers } = { ...query, ...options };
  if (typeof prefix !== "string" || !PREFIX.test(prefix)) {
    faults.push(`prefix must be 1 to 32 of a-z 0-9 _, not ${JSON.stringify(prefix)}`);
  }
  const tls = resolveTls({ tlsMode, tlsCaFile, tlsCertFile, tlsKeyFile }, faults);
  let resolved: Readonly<Record<keyof typeof INTEGERS, number>> | undefined;
  try {
    resolved = resolveIntegerOptions("mysql", integers, INTEGERS);
  } catch (error) {
    faults.push((error as Error).message.replace("options of the mysql storage: ", ""));
  }
  if (faults.length > 0 || resolved === undefined) {
    throw new Error(`options of the mysql storage: ${faults.join("; ")}`);
  }
  return { ...resolved, address, prefix: String(prefix), tls };
}

function readUrl(url: string, faults: string[]): { address: ServerAddress; query: Record<string, unknown> } {
  const query: Record<string, unknown> = {};
  const nothing = { host: "", port: 0, user: "", password: "", database: "" };
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    faults.push("the URL must be mysql://user:password@host:port/database");
    return { address: nothing, query };
  }
  for (const [name, value] of parsed.searchParams) {
    const option = IN_URL.get(name.replaceAll("_", "-"));
    if (option === undefined) faults.push(`the URL's ?${name} is unknown; known are ${[...IN_URL.keys()].join(", ")}`);
    else query[option] = option === "tlsMode" ? value.toLowerCase().replaceAll("_", "-") : value;
  }
  const address: ServerAddress = {
    host: decodePart(parsed.hostname.replace(/^\[(.*)\]$/, "$1"), "host", faults),
    port: parsed.port === "" ? DEFAULT_PORT : Number(parsed.port),
    user: decodePart(parsed.username, "user", faults),
    password: decodePart(parsed.password, "password", faults),
    database: decodePart(parsed.pathname.replace(/^\//, ""), "database", faults),
  };
  if (!/^(mysql|mariadb):$/.test(parsed.protocol)) faults.push("the URL must begin with mysql:// or mariadb://");
  if (address.host === "") faults.push("the URL names no host");
  if (address.user === "") faults.push("the URL names no user");
  if (address.database === "" || address.database.includes("/")) {
    faults.push("the URL must name one database behind the host, such as mysql://user@host/agentbus");
  }
  return { address, query };
}

function decodePart(part: string, what: string, faults: string[]): string {
  try {
    return decodeURIComponent(part);
  } catch {
    faults.push(`the URL's ${what} has a % that is not followed by two hexadecimal digits; write %25`);
    return "";
  }
}

function resolveTls(options: Readonly<Record<string, unknown>>, faults: string[]): ResolvedTls | undefined {
  const files: { ca?: string; cert?: string; key?: string } = {};
  for (const [option, part] of Object.entries(TLS_OPTIONS)) {
    const path = options[option];
    if (path === undefined) continue;
    try {
      files[part] = readFileSync(String(path), "utf8");
    } catch (error) {
      faults.push(`${option}: ${(error as Error).message}`);
    }
  }
  const { tlsMode } = options;
  if (tlsMode !== undefined && !TLS_MODES.some((mode) => mode === tlsMode)) {
    faults.push(`tlsMode must be one of ${TLS_MODES.join(", ")}, not ${JSON.stringify(tlsMode)}`);
    return undefined;
  }
  if ((options["tlsCertFile"] === undefined) !== (options["tlsKeyFile"] === undefined)) {
    faults.push("tlsCertFile and tlsKeyFile go together");
  }
  const named = options["tlsCaFile"] !== undefined || options["tlsCertFile"] !== undefined;
  const mode = tlsMode ?? (named ? "verify-identity" : "disabled");
  if (mode === "disabled") {
    if (named) faults.push("tlsMode disabled and certificates contradict each other");
    return undefined;
  }
  return {
    ...files,
    minVersion: "TLSv1.2",
    rejectUnauthorized: mode !== "required",
    verifyIdentity: mode === "verify-identity",
  };
}
