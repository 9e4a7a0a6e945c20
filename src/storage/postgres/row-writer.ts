/**
 * A log's row names the transaction that wrote it (`written_by`), and PostgreSQL keeps the number of the transaction that
 * really did (`xmin`). They differ when somebody else put the row there: a dump that was loaded while the server ran, a row
 * that was copied back or edited, a standby of logical replication. The row may then be older than what was acknowledged,
 * and nothing else would show it, because the server has lived on. The next append begins a new epoch.
 *
 * Unlike a head that a node remembers this is known to every node, also one that has only just started.
 */
export const THIS_WRITER = "pg_current_xact_id()::xid";

/** Whether the row `l` is as the bus wrote it. VACUUM keeps xmin; what rewrites the row costs a new epoch, no more. */
export const IS_AS_WRITTEN = "coalesce(l.xmin = l.written_by, false)";

/** For changes of the row `l` that issue no sequence: a row that was put there stays known as such. */
export const SAME_TRUST = `CASE WHEN l.xmin = l.written_by THEN ${THIS_WRITER} ELSE l.written_by END`;
