import { randomBytes } from "node:crypto";
import { rowsOf } from "./connection.ts";
import type { Tables } from "./schema.ts";
import { readOnlyServer, type ServerFacts } from "./server-facts.ts";
import { bytes } from "./sql-text.ts";
import { type Transaction, TryAgain } from "./transaction.ts";

/**
 * Which life of which server a transaction runs in.
 *
 * A life is a random number in a table of the MEMORY engine, in a row named by the server itself (host, port, server id,
 * uuid). Why that is right:
 * - Restart or crash: the server empties MEMORY tables when it starts, so the number is gone and the next append draws a
 *   new one. A connection does not outlive its server, so a transaction that has read a number commits in that life.
 * - Fail-over: replication carries the row to the replicas, but under the old server's name. The promoted one finds no row
 *   of its own name and draws a number; when the old one comes back without a restart, its number is another one than the
 *   log's rows carry by then.
 * - Restored data: the files of a server are restored while it is down, which is a restart.
 * - A dump that is loaded into a running server brings the row back as it was, if this table was dumped, too. That is
 *   caught by nodes that have seen more of the log (SeenEnds), and by readers who bring a position beyond the head.
 * The row is read in the transaction that appends, after the log's row was locked, and by an expression that the server
 * evaluates there: a proxy that moves sessions between servers cannot mix up two of them.
 */
export function selectLife(t: Tables, { identity }: ServerFacts): string {
  return `SELECT life, CAST(@@global.read_only AS CHAR) FROM ${t.serverLife} WHERE server = ${identity}`;
}

/** Reads the answer to selectLife. Without a number the transaction begins again, after one was drawn. */
export function readLife(
  answer: Parameters<typeof rowsOf>[0],
  t: Tables,
  { facts }: Pick<Transaction, "facts">,
): string {
  const [row] = rowsOf<[Buffer, string]>(answer);
  if (row === undefined) {
    throw new TryAgain(async (session) => {
      // MEMORY tables know no transactions: it is there at once, and the first of several nodes wins.
      await session.send([
        `INSERT IGNORE INTO ${t.serverLife} (server, life) VALUES (${facts.identity}, ${bytes(randomBytes(16))})`,
      ]);
    });
  }
  // A user with all privileges may write to a server that was made read-only, and would write where nobody reads.
  if (!/^(0|OFF)$/i.test(row[1])) throw readOnlyServer();
  return row[0].toString("hex");
}
