import { BusError } from "../../core/errors.ts";

// The numbers are MySQL's and MariaDB's alike.
const ER_DISK_FULL = 1021;
const ER_ERROR_ON_WRITE = 1026;
const ER_GET_ERRNO = 1030;
const ER_DUP_ENTRY = 1062;
const ER_RECORD_FILE_FULL = 1114;
const ER_NO_SUCH_TABLE = 1146;
const ER_LOCK_WAIT_TIMEOUT = 1205;
const ER_LOCK_DEADLOCK = 1213;
const ER_OPTION_PREVENTS_STATEMENT = 1290;
const ER_READ_ONLY_MODE = 1836;
const EE_WRITE = 3;

/** The operating system's "no space left", as the server quotes it. */
const NO_SPACE = /errno: 28\b|error 28\b|no space left/i;

/** An answer did not come in time; whether the statements ran is unknown. */
export class NoAnswer extends Error {}

/** The server cannot be worked with until somebody changes its settings, or this program's. */
export class WrongServer extends Error {}

function numberOf(error: unknown): number {
  return error instanceof Error && "errno" in error && typeof error.errno === "number" ? error.errno : 0;
}

/** Whether the server answered, with an error of its own: then nothing of what the statement does is stored. */
export function isServerAnswer(error: unknown): boolean {
  return error instanceof Error && "sqlState" in error && !("fatal" in error && error.fatal === true);
}

/** The transaction lost against another one and was rolled back. */
export function isDeadlock(error: unknown): boolean {
  return numberOf(error) === ER_LOCK_DEADLOCK;
}

/** A row stayed locked for too long. The transaction is still open. */
export function isLockTimeout(error: unknown): boolean {
  return numberOf(error) === ER_LOCK_WAIT_TIMEOUT;
}

export function isDuplicateRow(error: unknown): boolean {
  return numberOf(error) === ER_DUP_ENTRY;
}

export function isMissingTable(error: unknown): boolean {
  return numberOf(error) === ER_NO_SUCH_TABLE;
}

/** The server has become a replica, or is about to leave: another connection may reach another server. */
export function isReadOnly(error: unknown): boolean {
  const number = numberOf(error);
  return number === ER_OPTION_PREVENTS_STATEMENT || number === ER_READ_ONLY_MODE;
}

function isFull(error: unknown): boolean {
  const number = numberOf(error);
  if (number === ER_DISK_FULL || number === ER_RECORD_FILE_FULL) return true;
  const mayBeSpace = number === ER_ERROR_ON_WRITE || number === ER_GET_ERRNO || number === EE_WRITE;
  return mayBeSpace && NO_SPACE.test((error as Error).message);
}

/** What a server says that somebody has to change first, with what to do. */
const WRONG_SETTINGS: ReadonlyMap<number, string> = new Map([
  [1044, "grant the user all privileges on the database"],
  [1045, "check user and password"],
  [1049, "create the database, or name another one in the URL"],
  [1142, "grant the user all privileges on the database"],
  [1251, "give the user an authentication plugin that the driver knows"],
  [1698, "give the user a password"],
  [3159, "the server wants TLS: set tlsMode"],
  [3161, "allow the engine: restarts of the server are noticed by a MEMORY table"],
]);
const CERTIFICATE = /certificate|altname|self.signed|unable to verify|wrong version number|does not support secure/i;

/** As it is, or a WrongServer when trying again cannot help. */
export function orWrongServer(error: unknown): unknown {
  const advice = WRONG_SETTINGS.get(numberOf(error));
  if (advice !== undefined) return new WrongServer(`${describeError(error)}: ${advice}`);
  const isTls = error instanceof Error && "code" in error && String(error.code).startsWith("HANDSHAKE_");
  if (!isTls || !CERTIFICATE.test(error.message)) return error;
  return new WrongServer(`${error.message}: check tlsMode, tlsCaFile and the server's certificate`);
}

/** What a driver's error means to the bus. BusErrors and faults of this program pass as they are. */
export function toBusError(error: unknown, where: string): unknown {
  const isOurs = error instanceof BusError || error instanceof WrongServer;
  if (isOurs || error instanceof RangeError || error instanceof TypeError) return error;
  const said = describeError(error);
  const details = { cause: withoutStatement(error) };
  if (isServerAnswer(error) && isFull(error)) {
    return new BusError("STORAGE_FULL", `${where} has no room left: ${said}`, details);
  }
  return new BusError("STORAGE_UNAVAILABLE", `${where}: ${said}`, details);
}

export function describeError(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(describeError).join(", ");
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  return code === "" || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

/** The driver hangs the statement onto its errors, with the messages of the bus in it: that must not reach a log. */
function withoutStatement(error: unknown): unknown {
  if (!(error instanceof Error) || !("sql" in error)) return error;
  const clean = new Error(error.message);
  return Object.assign(clean, { name: error.name, code: "code" in error ? error.code : undefined });
}
