/** The functions around records, in the schema `s` (a quoted identifier). */
export const createRecordFunctions = (s: string): readonly string[] => [
  // The first 48 bits of SHA-256, the only checksum that every version has built in: record-checksum.ts has it, too. Of what
  // a record is made of only the value may have a line feed, and it comes last.
  `CREATE OR REPLACE FUNCTION ${s}.record_checksum(
     p_kind text, p_parent text, p_id text, p_version bigint, p_expires_at bigint, p_value text
   ) RETURNS bigint LANGUAGE sql STABLE AS $$
     SELECT ('x' || left(encode(sha256(convert_to(concat_ws(E'\\n', p_kind, p_parent, p_id, p_version, p_expires_at,
                                                            coalesce('+' || p_value, '-')), 'UTF8')), 'hex'), 12)
            )::bit(48)::bigint
   $$`,
  `CREATE OR REPLACE FUNCTION ${s}.is_intact(p_held ${s}.record) RETURNS boolean LANGUAGE sql STABLE AS $$
     SELECT p_held.checksum = ${s}.record_checksum(p_held.kind, p_held.parent, p_held.id, p_held.version,
                                                   p_held.expires_at, p_held.value)
   $$`,

  // The count row is locked behind the record's row, always, and a step locks one of each: nothing can deadlock.
  `CREATE OR REPLACE FUNCTION ${s}.add_to_count(p_kind text, p_parent text, p_by bigint) RETURNS void LANGUAGE sql AS $$
     INSERT INTO ${s}.record_count AS held (kind, parent, records) VALUES (p_kind, p_parent, p_by)
       ON CONFLICT (kind, parent) DO UPDATE SET records = held.records + p_by
   $$`,

  // o_outcome: 'stored', 'conflict' (then the other columns tell what is there; o_version 0: nothing), 'full', or 'damaged':
  // a write that names a version is refused by a damaged record, whose version nobody knows; any other replaces it.
  `CREATE OR REPLACE FUNCTION ${s}.put_record(
     p_kind text, p_parent text, p_id text, p_value text, p_expected bigint, p_max bigint, p_time_to_live bigint,
     p_now bigint, OUT o_outcome text, OUT o_version bigint, OUT o_expires_at bigint, OUT o_value text
   ) LANGUAGE plpgsql AS $$
   DECLARE
     v_now bigint;
     v_held ${s}.record%ROWTYPE;
     v_is_live boolean;
     v_count bigint;
   BEGIN
     -- A record that is not there has no row to lock.
     PERFORM pg_advisory_xact_lock(hashtextextended(format('%s %s %s %s', '${s}', p_kind, p_parent, p_id), 0));
     v_now := ${s}.clock_ms(p_now);
     SELECT * INTO v_held FROM ${s}.record WHERE kind = p_kind AND parent = p_parent AND id = p_id FOR UPDATE;
     IF FOUND AND p_expected IS NOT NULL AND NOT ${s}.is_intact(v_held) THEN
       o_outcome := 'damaged';
       RETURN;
     END IF;
     v_is_live := FOUND AND v_held.value IS NOT NULL AND (v_held.expires_at = 0 OR v_held.expires_at > v_now);
     IF p_expected IS NOT NULL AND p_expected <> (CASE WHEN v_is_live THEN v_held.version ELSE 0 END) THEN
       o_outcome := 'conflict';
       o_version := 0;
       IF v_is_live THEN
         o_version := v_held.version;
         o_expires_at := v_held.expires_at;
         o_value := v_held.value;
       END IF;
       RETURN;
     END IF;
     IF NOT v_is_live AND p_max IS NOT NULL THEN
       -- Whoever adds to this parent waits here until the other is done.
       INSERT INTO ${s}.record_count (kind, parent, records) VALUES (p_kind, p_parent, 0) ON CONFLICT DO NOTHING;
       SELECT records INTO v_count FROM ${s}.record_count WHERE kind = p_kind AND parent = p_parent FOR UPDATE;
       IF v_count >= p_max THEN
         SELECT count(*) INTO v_count FROM ${s}.record WHERE kind = p_kind AND parent = p_parent
            AND value IS NOT NULL AND (expires_at = 0 OR expires_at > v_now);
       END IF;
       IF v_count >= p_max THEN
         o_outcome := 'full';
         RETURN;
       END IF;
     END IF;
     o_outcome := 'stored';
     o_version := coalesce(v_held.version, 0) + 1;
     o_expires_at := CASE WHEN p_time_to_live > 0 THEN v_now + p_time_to_live ELSE 0 END;
     INSERT INTO ${s}.record (kind, parent, id, version, value, expires_at, checksum)
       VALUES (p_kind, p_parent, p_id, o_version, p_value, o_expires_at,
               ${s}.record_checksum(p_kind, p_parent, p_id, o_version, o_expires_at, p_value))
       ON CONFLICT (kind, parent, id) DO UPDATE SET version = excluded.version, value = excluded.value,
         expires_at = excluded.expires_at, checksum = excluded.checksum;
     IF v_held.value IS NULL THEN
       PERFORM ${s}.add_to_count(p_kind, p_parent, 1);
     END IF;
   END $$`,

  // NULL: the record is damaged, and the caller names a version.
  `CREATE OR REPLACE FUNCTION ${s}.delete_record(
     p_kind text, p_parent text, p_id text, p_expected bigint, p_remember bigint, p_now bigint
   ) RETURNS boolean LANGUAGE plpgsql AS $$
   DECLARE
     v_now bigint := ${s}.clock_ms(p_now);
   BEGIN
     IF p_expected IS NOT NULL THEN
       PERFORM FROM ${s}.record AS held
         WHERE kind = p_kind AND parent = p_parent AND id = p_id AND NOT ${s}.is_intact(held);
       IF FOUND THEN
         RETURN NULL;
       END IF;
     END IF;
     UPDATE ${s}.record SET value = NULL, expires_at = v_now + p_remember,
            checksum = ${s}.record_checksum(kind, parent, id, version, v_now + p_remember, NULL)
      WHERE kind = p_kind AND parent = p_parent AND id = p_id AND value IS NOT NULL
        AND (expires_at = 0 OR expires_at > v_now) AND (p_expected IS NULL OR version = p_expected);
     IF NOT FOUND THEN
       RETURN false;
     END IF;
     PERFORM ${s}.add_to_count(p_kind, p_parent, -1);
     RETURN true;
   END $$`,

  // Removes at most p_limit expired records and old versions. Rows that somebody writes now are left for the next time, and
  // damaged ones to people: whether they are over is not known.
  `CREATE OR REPLACE FUNCTION ${s}.sweep_records(p_now bigint, p_remember bigint, p_limit int) RETURNS bigint LANGUAGE plpgsql AS $$
   DECLARE
     v_now bigint := ${s}.clock_ms(p_now);
     v_parent record;
     v_removed bigint := 0;
   BEGIN
     FOR v_parent IN
       WITH expired AS MATERIALIZED (
         SELECT kind, parent, id FROM ${s}.record AS held
          WHERE expires_at > 0 AND expires_at <= v_now - CASE WHEN value IS NULL THEN 0 ELSE p_remember END
            AND ${s}.is_intact(held)
          ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED),
       removed AS (
         DELETE FROM ${s}.record AS held USING expired
          WHERE held.kind = expired.kind AND held.parent = expired.parent AND held.id = expired.id
          RETURNING held.kind, held.parent, held.value)
       SELECT kind, parent, count(*) AS records, count(value) AS live FROM removed GROUP BY kind, parent
        ORDER BY kind, parent
     LOOP
       v_removed := v_removed + v_parent.records;
       UPDATE ${s}.record_count SET records = records - v_parent.live
        WHERE kind = v_parent.kind AND parent = v_parent.parent;
     END LOOP;
     RETURN v_removed;
   END $$`,
];
