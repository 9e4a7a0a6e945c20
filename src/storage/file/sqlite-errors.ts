import type { Reason } from "../../core/errors.ts";

const SQLITE_IOERR_SHORT_READ = 522;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** What went wrong, in a form that crosses threads. */
export interface Failure {
  readonly reason: Extract<Reason, "STORAGE_FULL" | "STORAGE_UNAVAILABLE" | "DATA_DAMAGED">;
  readonly message: string;
  /** The transaction may have been stored all the same. */
  readonly outcomeUnknown: boolean;
}

/** Thrown in the storage threads for what no SQLite error says. */
export class StorageFailure extends Error {
  readonly failure: Failure;

  constructor(reason: Failure["reason"], message: string, outcomeUnknown = false) {
    super(message);
    this.failure = { reason, message, outcomeUnknown };
  }
}

/** The bytes in the file are not what was written there: the data is damaged, not the way to it. */
export function isDamage(error: unknown): boolean {
  if (error instanceof StorageFailure) return error.failure.reason === "DATA_DAMAGED";
  const code = sqliteCode(error);
  if (code === undefined) return isOutOfRange(error);
  return code === SQLITE_IOERR_SHORT_READ || (code & 0xff) === SQLITE_CORRUPT || (code & 0xff) === SQLITE_NOTADB;
}

export function isFull(error: unknown): boolean {
  return ((sqliteCode(error) ?? 0) & 0xff) === SQLITE_FULL;
}

export function toFailure(error: unknown, outcomeUnknown = false): Failure {
  if (error instanceof StorageFailure) return error.failure;
  const code = sqliteCode(error);
  const text = error instanceof Error ? error.message : String(error);
  if (isFull(error)) return { reason: "STORAGE_FULL", message: text, outcomeUnknown: false };
  if (isDamage(error)) return { reason: "DATA_DAMAGED", message: `the database is damaged: ${text}`, outcomeUnknown };
  const message = code === undefined ? text : `SQLite error ${code}: ${text}`;
  return { reason: "STORAGE_UNAVAILABLE", message, outcomeUnknown };
}

/** A stored number beyond 2^53: nobody wrote it. */
function isOutOfRange(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_OUT_OF_RANGE";
}

function sqliteCode(error: unknown): number | undefined {
  const isSqlite = error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR";
  return isSqlite && "errcode" in error && typeof error.errcode === "number" ? error.errcode : undefined;
}
