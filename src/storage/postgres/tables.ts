import { THIS_WRITER } from "./row-writer.ts";

/**
 * The tables of one bus as they were first, in the schema `s` (a quoted identifier).
 *
 * A log's row is written with each commit, so it has room on its page for its next versions (HOT updates, no index is
 * touched) and is vacuumed by count. Numbers are bigint throughout: safe integers in JavaScript.
 */
export const createTables = (s: string): readonly string[] => [
  // The number names the log in the other tables; it is never a position. Another incarnation gets another number.
  `CREATE TABLE ${s}.log (
     id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     name text COLLATE "C" NOT NULL UNIQUE,
     incarnation text COLLATE "C" NOT NULL,
     version bigint NOT NULL,
     fenced_at bigint NOT NULL,
     head bigint NOT NULL,
     floor bigint NOT NULL,
     start_bytes bigint NOT NULL,
     end_bytes bigint NOT NULL,
     last_accepted_at bigint NOT NULL,
     epoch bigint NOT NULL,
     life text NOT NULL
   ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
           autovacuum_vacuum_cost_delay = 0)`,
  `COMMENT ON COLUMN ${s}.log.start_bytes IS 'bytes of all bodies before the floor, ever'`,
  `COMMENT ON COLUMN ${s}.log.life IS 'the life of the server that issued the head, see server_life()'`,

  `CREATE TABLE ${s}.epoch_link (
     log_id bigint NOT NULL,
     number bigint NOT NULL,
     epoch bigint NOT NULL,
     first bigint NOT NULL,
     PRIMARY KEY (log_id, number))`,

  // Trimmed from its old end in key order, so vacuum finds whole pages empty. Bodies are not compressed: most are small,
  // and the processor is what limits appends.
  `CREATE TABLE ${s}.entry (
     log_id bigint NOT NULL,
     sequence bigint NOT NULL,
     epoch bigint NOT NULL,
     accepted_at bigint NOT NULL,
     time_to_live bigint NOT NULL,
     end_bytes bigint NOT NULL,
     checksum bigint NOT NULL,
     id text COLLATE "C" NOT NULL,
     sender text COLLATE "C" NOT NULL,
     audience text COLLATE "C",
     body bytea NOT NULL,
     PRIMARY KEY (log_id, sequence)
   ) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.5)`,
  `ALTER TABLE ${s}.entry ALTER COLUMN body SET STORAGE EXTERNAL`,
  `COMMENT ON COLUMN ${s}.entry.end_bytes IS 'bytes of all bodies up to this one, ever'`,
  // Ids are UUIDv7 unless a client makes its own: they come in order, so this index grows at its end.
  `CREATE INDEX entry_by_id ON ${s}.entry (log_id, id)`,

  `CREATE TABLE ${s}.idempotency_key (
     log_id bigint NOT NULL,
     fingerprint uuid NOT NULL,
     sequence bigint NOT NULL,
     epoch bigint NOT NULL,
     accepted_at bigint NOT NULL,
     digest bigint NOT NULL,
     PRIMARY KEY (log_id, fingerprint)
   ) WITH (autovacuum_vacuum_scale_factor = 0.1)`,
  `CREATE INDEX idempotency_key_by_age ON ${s}.idempotency_key (accepted_at)`,

  // Logs that are gone and whose rows in the tables above are still to be removed.
  `CREATE TABLE ${s}.removed_log (log_id bigint PRIMARY KEY)`,

  // value NULL: deleted; the row remembers the version until expires_at.
  `CREATE TABLE ${s}.record (
     kind text COLLATE "C" NOT NULL,
     parent text COLLATE "C" NOT NULL,
     id text COLLATE "C" NOT NULL,
     version bigint NOT NULL,
     value text COLLATE "C",
     expires_at bigint NOT NULL,
     PRIMARY KEY (kind, parent, id)
   ) WITH (fillfactor = 80)`,
  `CREATE INDEX record_by_expiry ON ${s}.record (expires_at) WHERE expires_at > 0`,
  // How many rows with a value a parent has, expired ones included. The row is also what creators queue at.
  `CREATE TABLE ${s}.record_count (
     kind text COLLATE "C" NOT NULL,
     parent text COLLATE "C" NOT NULL,
     records bigint NOT NULL,
     PRIMARY KEY (kind, parent)
   ) WITH (fillfactor = 50)`,

  // Emptied by the server itself whenever it recovers from a crash, is promoted, or comes from a backup: whenever the end
  // of what was committed may be missing.
  `CREATE UNLOGGED TABLE ${s}.server_life (only_one boolean PRIMARY KEY CHECK (only_one), token uuid NOT NULL)`,
  // Packets between nodes that do not fit into a notification.
  `CREATE UNLOGGED TABLE ${s}.packet (
     id uuid PRIMARY KEY,
     created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
     body bytea NOT NULL)`,
  `ALTER TABLE ${s}.packet ALTER COLUMN body SET STORAGE EXTERNAL`,
];

/** What shows that a record is damaged, and that a log's row was put there by somebody else (row-writer.ts). */
export const createChecks = (s: string): readonly string[] => [
  `ALTER TABLE ${s}.record ADD COLUMN checksum bigint`,
  `ALTER TABLE ${s}.log ADD COLUMN written_by xid`,
  `COMMENT ON COLUMN ${s}.log.written_by IS 'the transaction that wrote this row; another than xmin: it was put there'`,
];

/** For the rows that are there already, which are taken as they are. */
export const fillChecks = (s: string): readonly string[] => [
  `UPDATE ${s}.record
      SET checksum = ${s}.record_checksum(kind, parent, id, version, expires_at, value)`,
  `ALTER TABLE ${s}.record ALTER COLUMN checksum SET NOT NULL`,
  `UPDATE ${s}.log SET written_by = ${THIS_WRITER}`,
];
