import { IS_AS_WRITTEN, SAME_TRUST, THIS_WRITER } from "./row-writer.ts";

/**
 * Plans are kept, and made when tables may be empty: without these an append would scan a table that has since grown. What
 * is switched off counts as costly, and what is costly would be compiled first: hence no jit.
 */
const INDEXES_ONLY = `SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off`;

/** Columns of the records of one append, as parameters. The last four may be shorter or NULL: the rest is their default. */
const RECORDS = `
  p_keys uuid[], p_digests bigint[], p_ids text[], p_senders text[], p_ends bigint[], p_checksums bigint[],
  p_bodies bytea[], p_audiences text[], p_times_to_live bigint[]`;
const RECORD_NAMES = "p_keys, p_digests, p_ids, p_senders, p_ends, p_checksums, p_bodies, p_audiences, p_times_to_live";

/** The functions around the log, in the schema `s` (a quoted identifier). */
export const createLogFunctions = (s: string): readonly string[] => [
  // Milliseconds since 1970: the server's clock, or the one that a test gives.
  `CREATE OR REPLACE FUNCTION ${s}.clock_ms(p_now bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
     SELECT coalesce(p_now, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
   $$`,

  // Which life of the server this is; NULL: nobody has named it yet. The start of the postmaster shows a restart, the
  // token a crash that the postmaster survives, a promoted replica and a restored backup.
  `CREATE OR REPLACE FUNCTION ${s}.life() RETURNS text LANGUAGE sql STABLE AS $$
     SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint || '/' || token FROM ${s}.server_life
   $$`,

  `CREATE OR REPLACE FUNCTION ${s}.links(p_log bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $$
     SELECT array_agg(n ORDER BY number, half)
       FROM ${s}.epoch_link, LATERAL (VALUES (1, epoch), (2, first)) AS pair (half, n) WHERE log_id = p_log
   $$`,

  // Writes what an append stores. The caller holds the lock of the log's row, and knows that none of the keys is there: to
  // look for them here once more would cost a sixth of the whole append.
  `CREATE OR REPLACE FUNCTION ${s}.store(
     p_log bigint, p_head bigint, p_bytes bigint, p_epoch bigint, p_accepted_at bigint, p_life text,${RECORDS}
   ) RETURNS void LANGUAGE plpgsql ${INDEXES_ONLY} AS $$
   DECLARE
     v_count int := array_length(p_ids, 1);
   BEGIN
     INSERT INTO ${s}.idempotency_key (log_id, fingerprint, sequence, epoch, accepted_at, digest)
       SELECT p_log, r.key, p_head + r.n, p_epoch, p_accepted_at, r.digest
         FROM unnest(p_keys, p_digests) WITH ORDINALITY AS r (key, digest, n) WHERE r.key IS NOT NULL;
     INSERT INTO ${s}.entry (log_id, sequence, epoch, accepted_at, time_to_live, end_bytes, checksum, id, sender,
                             audience, body)
       SELECT p_log, p_head + r.n, p_epoch, p_accepted_at, coalesce(r.time_to_live, 0), p_bytes + r.ends,
              r.checksum + p_head + r.n + 3 * p_epoch + 5 * p_accepted_at, r.id, r.sender, r.audience, r.body
         FROM unnest(p_ids, p_senders, p_ends, p_checksums, p_bodies, p_audiences, p_times_to_live)
              WITH ORDINALITY AS r (id, sender, ends, checksum, body, audience, time_to_live, n);
     UPDATE ${s}.log SET head = p_head + v_count, end_bytes = p_bytes + p_ends[v_count],
                         last_accepted_at = p_accepted_at, epoch = p_epoch, life = p_life, written_by = ${THIS_WRITER}
      WHERE id = p_log;
   END $$`,

  // One append in one round trip, for the usual case: the log is as the caller believes, the server lives its old life,
  // nobody has put an older row in the place of the log's, and every key is new. Else nothing is stored, o_head is NULL, and the caller decides with what it reads itself.
  //
  // The row is locked by a statement of its own, before the keys are looked up: in one statement both would see the same
  // snapshot, older than what the last holder of the lock has stored.
  `CREATE OR REPLACE FUNCTION ${s}.append(
     p_name text, p_incarnation text, p_version bigint, p_now bigint,${RECORDS},
     OUT o_head bigint, OUT o_epoch bigint, OUT o_accepted_at bigint
   ) LANGUAGE plpgsql ${INDEXES_ONLY} AS $$
   DECLARE
     v_log record;
   BEGIN
     SELECT l.*, ${IS_AS_WRITTEN} AS is_as_written INTO v_log FROM ${s}.log l WHERE l.name = p_name FOR UPDATE;
     IF NOT FOUND OR v_log.incarnation <> p_incarnation OR v_log.version <> p_version
        OR NOT v_log.is_as_written OR v_log.life IS DISTINCT FROM ${s}.life() THEN
       RETURN;
     END IF;
     -- OFFSET 0 keeps the order of the loops: planned on an empty table, a join would read all keys of the log.
     PERFORM FROM unnest(p_keys) AS new_key, LATERAL (
       SELECT FROM ${s}.idempotency_key WHERE log_id = v_log.id AND fingerprint = new_key OFFSET 0) AS held LIMIT 1;
     IF FOUND THEN
       RETURN;
     END IF;
     o_head := v_log.head;
     o_epoch := v_log.epoch;
     o_accepted_at := greatest(${s}.clock_ms(p_now), v_log.last_accepted_at);
     PERFORM ${s}.store(v_log.id, v_log.head, v_log.end_bytes, v_log.epoch, o_accepted_at, v_log.life, ${RECORD_NAMES});
   END $$`,

  // The first retained sequence accepted at or after a time; head + 1 when there is none. Times never decrease, so it is
  // found by halving; a time index would cost every append.
  `CREATE OR REPLACE FUNCTION ${s}.find_time(p_log bigint, p_floor bigint, p_head bigint, p_time bigint) RETURNS bigint
   LANGUAGE plpgsql STABLE ${INDEXES_ONLY} AS $$
   DECLARE
     v_low bigint := p_floor;
     v_high bigint := p_head + 1;
     v_middle bigint;
     v_at bigint;
   BEGIN
     WHILE v_low < v_high LOOP
       v_middle := (v_low + v_high) / 2;
       SELECT accepted_at INTO v_at FROM ${s}.entry
        WHERE log_id = p_log AND sequence >= v_middle AND sequence <= p_head ORDER BY sequence LIMIT 1;
       IF NOT FOUND OR v_at >= p_time THEN v_high := v_middle; ELSE v_low := v_middle + 1; END IF;
     END LOOP;
     RETURN v_low;
   END $$`,

  // Moves the floor; the entries below it are removed afterwards, without the lock. Answers false when there is no log.
  `CREATE OR REPLACE FUNCTION ${s}.move_floor(
     p_name text, p_by_age bigint, p_max_messages bigint, p_max_bytes bigint, OUT o_log bigint, OUT o_floor bigint
   ) LANGUAGE plpgsql ${INDEXES_ONLY} AS $$
   DECLARE
     v_log ${s}.log%ROWTYPE;
     v_low bigint;
     v_middle bigint;
     v_bytes bigint;
   BEGIN
     SELECT * INTO v_log FROM ${s}.log WHERE name = p_name FOR UPDATE;
     IF NOT FOUND THEN
       RETURN;
     END IF;
     o_log := v_log.id;
     o_floor := v_log.floor;
     IF p_by_age IS NOT NULL THEN
       o_floor := ${s}.find_time(v_log.id, o_floor, v_log.head, p_by_age);
     END IF;
     IF p_max_messages > 0 THEN
       o_floor := greatest(o_floor, v_log.head - p_max_messages + 1);
     END IF;
     IF p_max_bytes > 0 AND o_floor < v_log.head THEN
       -- The first entry from which on the bodies take at most so much; the newest stays.
       v_low := o_floor;
       o_floor := v_log.head;
       WHILE v_low < o_floor LOOP
         v_middle := (v_low + o_floor) / 2;
         SELECT end_bytes - length(body) INTO v_bytes FROM ${s}.entry
          WHERE log_id = v_log.id AND sequence >= v_middle AND sequence <= v_log.head ORDER BY sequence LIMIT 1;
         IF NOT FOUND OR v_log.end_bytes - v_bytes <= p_max_bytes THEN o_floor := v_middle;
         ELSE v_low := v_middle + 1; END IF;
       END LOOP;
     END IF;
     IF o_floor = v_log.floor THEN
       RETURN;
     END IF;
     SELECT end_bytes - length(body) INTO v_bytes FROM ${s}.entry
      WHERE log_id = v_log.id AND sequence >= o_floor AND sequence <= v_log.head ORDER BY sequence LIMIT 1;
     UPDATE ${s}.log AS l SET floor = o_floor, start_bytes = coalesce(v_bytes, end_bytes), written_by = ${SAME_TRUST}
      WHERE id = v_log.id;
   END $$`,
];
