import pg from "pg";
import { BusError } from "../../core/errors.ts";
import { SchemaTooNew } from "../sql/migrations.ts";

/** Disk full and its kin: the server says so before it stores anything. */
const FULL = new Set(["53100", "58030"]);
/** Rolled back for the sake of another transaction: nothing was stored, doing it again is safe. */
const RETRYABLE = new Set(["40001", "40P01"]);
/** The data on the disk is not what was written there. */
const DAMAGED = new Set(["XX001", "XX002"]);
/**
 * Wrong settings that no waiting mends: user, password, database, rights, a schema that somebody changed by hand. Told as
 * they are when the storage is opened; while it runs, somebody is at work on the server, so it counts as unavailable.
 */
const SETTINGS = new Set(["28000", "28P01", "3D000", "42501", "3F000", "42P01", "42883", "42703"]);

/** The server shows another certificate than the URL asks for. */
const CERTIFICATE = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET_ISSUER|VERIFY)_|ERR_TLS_CERT_)/;

export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

export function isRetryable(error: unknown): boolean {
  return RETRYABLE.has(sqlState(error) ?? "");
}

/** The connection is of no more use: it is gone, or it leads to a server that does not write. */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error);
  if (state === undefined) return true;
  return state.startsWith("08") || state.startsWith("57P") || state === "25006";
}

/** What no waiting mends, in words that say what to do; undefined: waiting may help. */
export function settingFault(error: unknown): string | undefined {
  const cause = error instanceof BusError ? error.details.cause : error;
  if (cause instanceof UnusableServer || cause instanceof SchemaTooNew) return cause.message;
  if (isWithoutTls(cause)) return `${cause.message}; turn TLS on there, or take sslmode out of the URL`;
  if (isCertificateFault(cause)) return `the server's certificate is not trusted: ${cause.message}; give sslrootcert`;
  if (!(cause instanceof pg.DatabaseError) || !SETTINGS.has(cause.code ?? "")) return undefined;
  return `${cause.message} (${cause.code}); correct the URL, or what the server grants`;
}

/** What the port promises of a failure. Nothing of the driver's goes further than here but the cause. */
export function toBusError(error: unknown, doing: string): BusError {
  if (error instanceof BusError) return error;
  const state = sqlState(error);
  const text = error instanceof Error ? describe(error) : String(error);
  const message = `PostgreSQL, ${doing}: ${text}${state === undefined ? "" : ` (${state})`}`;
  const details = { cause: withoutData(error) };
  if (state !== undefined && FULL.has(state)) return new BusError("STORAGE_FULL", message, details);
  if (state !== undefined && DAMAGED.has(state)) return new BusError("DATA_DAMAGED", message, details);
  return new BusError("STORAGE_UNAVAILABLE", message, details);
}

/** The server quotes the row that it refuses, with a message of the bus in it: that must not reach a log. */
function withoutData(error: unknown): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const { message, length, name, code, severity, schema, table, column, constraint } = error;
  return Object.assign(new pg.DatabaseError(message, length, name), {
    code,
    severity,
    schema,
    table,
    column,
    constraint,
  });
}

/** Node puts the causes of a failed connect to several addresses into an AggregateError without a message. */
function describe(error: Error): string {
  if (error.message !== "") return error.message;
  if (error instanceof AggregateError) return error.errors.map((each: unknown) => String(each)).join("; ");
  return error.name;
}

/** Waiting does not mend it: the storage does not open. */
export class UnusableServer extends Error {
  override readonly name = "UnusableServer";
}

/** The driver's own refusal, which has no code: the server answered, and speaks no TLS. */
function isWithoutTls(cause: unknown): cause is Error {
  return cause instanceof Error && cause.message === "The server does not support SSL connections";
}

function isCertificateFault(cause: unknown): cause is Error {
  return cause instanceof Error && "code" in cause && typeof cause.code === "string" && CERTIFICATE.test(cause.code);
}
