import { type Answer, affectedRows, rowsOf } from "./connection.ts";
import type { ConnectionPool, Session } from "./connection-pool.ts";
import { isDeadlock, isDuplicateRow, isLockTimeout, isReadOnly } from "./driver-errors.ts";

export { affectedRows, rowsOf };

/** One attempt at a transaction. */
export interface Transaction extends Pick<Session, "facts"> {
  /** Sends statements in one round trip; the first time, with the transaction's start in front. */
  send(statements: readonly string[]): Promise<readonly Answer[]>;
  /** Sends the last statements and the commit, in one round trip. */
  commit(statements?: readonly string[]): Promise<void>;
}

export interface TransactOptions {
  /** What the transaction begins with. Default: one that writes, READ COMMITTED. */
  readonly start?: readonly string[];
}

/** Thrown within a transaction: it is rolled back, `before` runs, and it begins again. */
export class TryAgain extends Error {
  readonly before: ((session: Session) => Promise<void>) | undefined;

  constructor(before?: (session: Session) => Promise<void>) {
    super("the transaction has to begin again");
    this.before = before;
  }
}

const START = ["START TRANSACTION"];
/** All nodes together lose as many races as they win; so many in a row mean that something holds the row for long. */
const MAX_ATTEMPTS = 8;

/**
 * Runs a transaction and answers what `run` answers. Without a commit it is rolled back. What lost against another
 * transaction (deadlock, lock wait, a row that somebody else has just made) is rolled back by the server and begins again,
 * a bounded number of times and never beyond the operation's timeout; everything else is thrown: a lost commit is not
 * repeated, because nobody knows whether it happened.
 */
export function transact<T>(
  pool: ConnectionPool,
  run: (transaction: Transaction) => Promise<T>,
  { start = START }: TransactOptions = {},
): Promise<T> {
  return pool.use(async (session) => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await runOnce(session, start, run);
      } catch (error) {
        if (isReadOnly(error)) session.discard();
        if (attempt === MAX_ATTEMPTS || session.remainingMs() <= 0 || !mayRepeat(error, session)) throw error;
        if (error instanceof TryAgain) await error.before?.(session);
      }
    }
  });
}

function mayRepeat(error: unknown, session: Session): boolean {
  if (isLockTimeout(error)) return session.hasTimeForLock();
  return error instanceof TryAgain || isDeadlock(error) || isDuplicateRow(error);
}

async function runOnce<T>(
  session: Session,
  start: readonly string[],
  run: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  let isOpen = false;
  const send = async (statements: readonly string[]): Promise<readonly Answer[]> => {
    if (isOpen) return await session.send(statements);
    isOpen = true;
    return (await session.send([...start, ...statements])).slice(start.length);
  };
  try {
    return await run({
      facts: session.facts,
      send,
      async commit(statements = []) {
        await send([...statements, "COMMIT"]);
        isOpen = false;
      },
    });
  } finally {
    // Without an answer the connection is gone, and the server rolls back by itself.
    if (isOpen) await session.send(["ROLLBACK"]).catch(() => session.discard());
  }
}
