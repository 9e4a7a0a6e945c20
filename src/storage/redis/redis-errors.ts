import { BusError, isBusError } from "../../core/errors.ts";

/** What the server's error codes mean for who uses the bus. */
const UNAVAILABLE: Readonly<Record<string, string>> = {
  READONLY: "the Redis server is a replica: a fail-over is going on, or the address is a replica's",
  LOADING: "the Redis server is loading its data",
  MISCONF: "the Redis server cannot write to its disk and refuses writes",
  NOREPLICAS: "the Redis server has too few replicas (min-replicas-to-write) and refuses writes",
  MASTERDOWN: "the Redis server is a replica that has lost its master",
  CLUSTERDOWN: "the Redis Cluster is down, or a part of it",
  TRYAGAIN: "the Redis Cluster is moving keys",
  MOVED: "the Redis Cluster moves keys faster than the client follows",
  BUSY: "the Redis server is busy with a script of somebody else",
  NOAUTH: "the Redis server wants a password",
  WRONGPASS: "the Redis server refuses user or password",
  NOPERM: "the Redis user may not run what the bus needs",
};

/** What the driver's own errors mean, where their text would not say it. */
const CONNECTION: Readonly<Record<string, string>> = {
  MaxRetriesPerRequestError: "the connection was lost",
};

/** How the driver refuses a command while it has no connection; it speaks of its own options. */
const NOT_CONNECTED = /enableOfflineQueue/;

/** What only people can change: no use in trying again. By the server's codes and those of TLS. */
const ADVICE: Readonly<Record<string, string>> = {
  NOAUTH: "give user and password in the storage's URL",
  WRONGPASS: "give the right user and password in the storage's URL",
  NOPERM: "give a user that may run all commands on the storage's keys and channels",
  ERR_TLS_CERT_ALTNAME_INVALID: "name the host as its certificate does",
  CERT_HAS_EXPIRED: "renew the server's certificate",
  DEPTH_ZERO_SELF_SIGNED_CERT: "give the authority's certificate in the option ioredis.tls.ca",
  SELF_SIGNED_CERT_IN_CHAIN: "give the authority's certificate in the option ioredis.tls.ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "give the authority's certificate in the option ioredis.tls.ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "give the authority's certificate in the option ioredis.tls.ca",
};

/**
 * The error of the port for one of the driver. The driver's own error carries the command with all its arguments (message
 * bodies, the password): nothing of it but the text goes on.
 */
export function toBusError(error: unknown): BusError {
  if (isBusError(error)) return error;
  const text = (error as Error).message ?? String(error);
  const cause = new Error(text);
  const code = codeOf(text);
  if (code === "OOM") return new BusError("STORAGE_FULL", "the Redis server is at its maxmemory", { cause });
  const meaning = UNAVAILABLE[code];
  if (meaning !== undefined) return new BusError("STORAGE_UNAVAILABLE", `${meaning} (${code})`, { cause });
  const { name } = error as Error;
  if (name === "ReplyError") return new BusError("INTERNAL", `the Redis server refused a command: ${text}`, { cause });
  const away = CONNECTION[name] ?? (NOT_CONNECTED.test(text) ? "it cannot be reached" : undefined);
  if (away !== undefined) return new BusError("STORAGE_UNAVAILABLE", `Redis does not answer: ${away}`);
  return new BusError("STORAGE_UNAVAILABLE", `Redis does not answer: ${text}`, { cause });
}

/** What to do about an error that does not go away by waiting; undefined: it may. */
export function adviceFor(error: unknown): string | undefined {
  const { code = "", message = "" } = error as NodeJS.ErrnoException;
  return ADVICE[code] ?? ADVICE[codeOf(message)];
}

export function isNoScript(error: unknown): boolean {
  return codeOf((error as Error).message ?? "") === "NOSCRIPT";
}

function codeOf(text: string): string {
  return /^-?([A-Z]+)\b/.exec(text)?.[1] ?? "";
}
