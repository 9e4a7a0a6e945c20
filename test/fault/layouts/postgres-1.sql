-- A bus as the program with schema version 1 left it: pg_dump --inserts. A channel with three messages, and some records.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET search_path = '';
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA layout_1;
CREATE FUNCTION layout_1.add_to_count(p_kind text, p_parent text, p_by bigint) RETURNS void
    LANGUAGE sql
    AS $$
     INSERT INTO "layout_1".record_count AS held (kind, parent, records) VALUES (p_kind, p_parent, p_by)
       ON CONFLICT (kind, parent) DO UPDATE SET records = held.records + p_by
   $$;
CREATE FUNCTION layout_1.append(p_name text, p_incarnation text, p_version bigint, p_now bigint, p_keys uuid[], p_digests bigint[], p_ids text[], p_senders text[], p_ends bigint[], p_checksums bigint[], p_bodies bytea[], p_audiences text[], p_times_to_live bigint[], OUT o_head bigint, OUT o_epoch bigint, OUT o_accepted_at bigint) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
   DECLARE
     v_log "layout_1".log%ROWTYPE;
   BEGIN
     SELECT * INTO v_log FROM "layout_1".log WHERE name = p_name FOR UPDATE;
     IF NOT FOUND OR v_log.incarnation <> p_incarnation OR v_log.version <> p_version
        OR v_log.life IS DISTINCT FROM "layout_1".life() THEN
       RETURN;
     END IF;
     -- OFFSET 0 keeps the order of the loops: planned on an empty table, a join would read all keys of the log.
     PERFORM FROM unnest(p_keys) AS new_key, LATERAL (
       SELECT FROM "layout_1".idempotency_key WHERE log_id = v_log.id AND fingerprint = new_key OFFSET 0) AS held LIMIT 1;
     IF FOUND THEN
       RETURN;
     END IF;
     o_head := v_log.head;
     o_epoch := v_log.epoch;
     o_accepted_at := greatest("layout_1".clock_ms(p_now), v_log.last_accepted_at);
     PERFORM "layout_1".store(v_log.id, v_log.head, v_log.end_bytes, v_log.epoch, o_accepted_at, v_log.life, p_keys, p_digests, p_ids, p_senders, p_ends, p_checksums, p_bodies, p_audiences, p_times_to_live);
   END $$;
CREATE FUNCTION layout_1.clock_ms(p_now bigint) RETURNS bigint
    LANGUAGE sql
    AS $$
     SELECT coalesce(p_now, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
   $$;
CREATE FUNCTION layout_1.delete_record(p_kind text, p_parent text, p_id text, p_expected bigint, p_remember bigint, p_now bigint) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
   DECLARE
     v_now bigint := "layout_1".clock_ms(p_now);
   BEGIN
     UPDATE "layout_1".record SET value = NULL, expires_at = v_now + p_remember
      WHERE kind = p_kind AND parent = p_parent AND id = p_id AND value IS NOT NULL
        AND (expires_at = 0 OR expires_at > v_now) AND (p_expected IS NULL OR version = p_expected);
     IF NOT FOUND THEN
       RETURN false;
     END IF;
     PERFORM "layout_1".add_to_count(p_kind, p_parent, -1);
     RETURN true;
   END $$;
CREATE FUNCTION layout_1.find_time(p_log bigint, p_floor bigint, p_head bigint, p_time bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
   DECLARE
     v_low bigint := p_floor;
     v_high bigint := p_head + 1;
     v_middle bigint;
     v_at bigint;
   BEGIN
     WHILE v_low < v_high LOOP
       v_middle := (v_low + v_high) / 2;
       SELECT accepted_at INTO v_at FROM "layout_1".entry
        WHERE log_id = p_log AND sequence >= v_middle AND sequence <= p_head ORDER BY sequence LIMIT 1;
       IF NOT FOUND OR v_at >= p_time THEN v_high := v_middle; ELSE v_low := v_middle + 1; END IF;
     END LOOP;
     RETURN v_low;
   END $$;
CREATE FUNCTION layout_1.life() RETURNS text
    LANGUAGE sql STABLE
    AS $$
     SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint || '/' || token FROM "layout_1".server_life
   $$;
CREATE FUNCTION layout_1.links(p_log bigint) RETURNS bigint[]
    LANGUAGE sql STABLE
    AS $$
     SELECT array_agg(n ORDER BY number, half)
       FROM "layout_1".epoch_link, LATERAL (VALUES (1, epoch), (2, first)) AS pair (half, n) WHERE log_id = p_log
   $$;
CREATE FUNCTION layout_1.move_floor(p_name text, p_by_age bigint, p_max_messages bigint, p_max_bytes bigint, OUT o_log bigint, OUT o_floor bigint) RETURNS record
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
   DECLARE
     v_log "layout_1".log%ROWTYPE;
     v_low bigint;
     v_middle bigint;
     v_bytes bigint;
   BEGIN
     SELECT * INTO v_log FROM "layout_1".log WHERE name = p_name FOR UPDATE;
     IF NOT FOUND THEN
       RETURN;
     END IF;
     o_log := v_log.id;
     o_floor := v_log.floor;
     IF p_by_age IS NOT NULL THEN
       o_floor := "layout_1".find_time(v_log.id, o_floor, v_log.head, p_by_age);
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
         SELECT end_bytes - length(body) INTO v_bytes FROM "layout_1".entry
          WHERE log_id = v_log.id AND sequence >= v_middle AND sequence <= v_log.head ORDER BY sequence LIMIT 1;
         IF NOT FOUND OR v_log.end_bytes - v_bytes <= p_max_bytes THEN o_floor := v_middle;
         ELSE v_low := v_middle + 1; END IF;
       END LOOP;
     END IF;
     IF o_floor = v_log.floor THEN
       RETURN;
     END IF;
     SELECT end_bytes - length(body) INTO v_bytes FROM "layout_1".entry
      WHERE log_id = v_log.id AND sequence >= o_floor AND sequence <= v_log.head ORDER BY sequence LIMIT 1;
     UPDATE "layout_1".log SET floor = o_floor, start_bytes = coalesce(v_bytes, end_bytes) WHERE id = v_log.id;
   END $$;
CREATE FUNCTION layout_1.put_record(p_kind text, p_parent text, p_id text, p_value text, p_expected bigint, p_max bigint, p_time_to_live bigint, p_now bigint, OUT o_outcome text, OUT o_version bigint, OUT o_expires_at bigint, OUT o_value text) RETURNS record
    LANGUAGE plpgsql
    AS $$
   DECLARE
     v_now bigint;
     v_held "layout_1".record%ROWTYPE;
     v_is_live boolean;
     v_count bigint;
   BEGIN
     -- A record that is not there has no row to lock.
     PERFORM pg_advisory_xact_lock(hashtextextended(format('%s %s %s %s', '"layout_1"', p_kind, p_parent, p_id), 0));
     v_now := "layout_1".clock_ms(p_now);
     SELECT * INTO v_held FROM "layout_1".record WHERE kind = p_kind AND parent = p_parent AND id = p_id FOR UPDATE;
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
       INSERT INTO "layout_1".record_count (kind, parent, records) VALUES (p_kind, p_parent, 0) ON CONFLICT DO NOTHING;
       SELECT records INTO v_count FROM "layout_1".record_count WHERE kind = p_kind AND parent = p_parent FOR UPDATE;
       IF v_count >= p_max THEN
         SELECT count(*) INTO v_count FROM "layout_1".record WHERE kind = p_kind AND parent = p_parent
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
     INSERT INTO "layout_1".record (kind, parent, id, version, value, expires_at)
       VALUES (p_kind, p_parent, p_id, o_version, p_value, o_expires_at)
       ON CONFLICT (kind, parent, id) DO UPDATE SET version = excluded.version, value = excluded.value,
         expires_at = excluded.expires_at;
     IF v_held.value IS NULL THEN
       PERFORM "layout_1".add_to_count(p_kind, p_parent, 1);
     END IF;
   END $$;
CREATE FUNCTION layout_1.store(p_log bigint, p_head bigint, p_bytes bigint, p_epoch bigint, p_accepted_at bigint, p_life text, p_keys uuid[], p_digests bigint[], p_ids text[], p_senders text[], p_ends bigint[], p_checksums bigint[], p_bodies bytea[], p_audiences text[], p_times_to_live bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET jit TO 'off'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
   DECLARE
     v_count int := array_length(p_ids, 1);
   BEGIN
     INSERT INTO "layout_1".idempotency_key (log_id, fingerprint, sequence, epoch, accepted_at, digest)
       SELECT p_log, r.key, p_head + r.n, p_epoch, p_accepted_at, r.digest
         FROM unnest(p_keys, p_digests) WITH ORDINALITY AS r (key, digest, n) WHERE r.key IS NOT NULL;
     INSERT INTO "layout_1".entry (log_id, sequence, epoch, accepted_at, time_to_live, end_bytes, checksum, id, sender,
                             audience, body)
       SELECT p_log, p_head + r.n, p_epoch, p_accepted_at, coalesce(r.time_to_live, 0), p_bytes + r.ends,
              r.checksum + p_head + r.n + 3 * p_epoch + 5 * p_accepted_at, r.id, r.sender, r.audience, r.body
         FROM unnest(p_ids, p_senders, p_ends, p_checksums, p_bodies, p_audiences, p_times_to_live)
              WITH ORDINALITY AS r (id, sender, ends, checksum, body, audience, time_to_live, n);
     UPDATE "layout_1".log SET head = p_head + v_count, end_bytes = p_bytes + p_ends[v_count],
                         last_accepted_at = p_accepted_at, epoch = p_epoch, life = p_life
      WHERE id = p_log;
   END $$;
CREATE FUNCTION layout_1.sweep_records(p_now bigint, p_remember bigint, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
   DECLARE
     v_now bigint := "layout_1".clock_ms(p_now);
     v_parent record;
     v_removed bigint := 0;
   BEGIN
     FOR v_parent IN
       WITH expired AS MATERIALIZED (
         SELECT kind, parent, id FROM "layout_1".record
          WHERE expires_at > 0 AND expires_at <= v_now - CASE WHEN value IS NULL THEN 0 ELSE p_remember END
          ORDER BY expires_at LIMIT p_limit FOR UPDATE SKIP LOCKED),
       removed AS (
         DELETE FROM "layout_1".record AS held USING expired
          WHERE held.kind = expired.kind AND held.parent = expired.parent AND held.id = expired.id
          RETURNING held.kind, held.parent, held.value)
       SELECT kind, parent, count(*) AS records, count(value) AS live FROM removed GROUP BY kind, parent
        ORDER BY kind, parent
     LOOP
       v_removed := v_removed + v_parent.records;
       UPDATE "layout_1".record_count SET records = records - v_parent.live
        WHERE kind = v_parent.kind AND parent = v_parent.parent;
     END LOOP;
     RETURN v_removed;
   END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE layout_1.entry (
    log_id bigint NOT NULL,
    sequence bigint NOT NULL,
    epoch bigint NOT NULL,
    accepted_at bigint NOT NULL,
    time_to_live bigint NOT NULL,
    end_bytes bigint NOT NULL,
    checksum bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    sender text NOT NULL COLLATE pg_catalog."C",
    audience text COLLATE pg_catalog."C",
    body bytea NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_vacuum_insert_scale_factor='0.5');
ALTER TABLE ONLY layout_1.entry ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE layout_1.epoch_link (
    log_id bigint NOT NULL,
    number bigint NOT NULL,
    epoch bigint NOT NULL,
    first bigint NOT NULL
);
CREATE TABLE layout_1.idempotency_key (
    log_id bigint NOT NULL,
    fingerprint uuid NOT NULL,
    sequence bigint NOT NULL,
    epoch bigint NOT NULL,
    accepted_at bigint NOT NULL,
    digest bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.1');
CREATE TABLE layout_1.log (
    id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    incarnation text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    fenced_at bigint NOT NULL,
    head bigint NOT NULL,
    floor bigint NOT NULL,
    start_bytes bigint NOT NULL,
    end_bytes bigint NOT NULL,
    last_accepted_at bigint NOT NULL,
    epoch bigint NOT NULL,
    life text NOT NULL
)
WITH (fillfactor='20', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000', autovacuum_vacuum_cost_delay='0');
ALTER TABLE layout_1.log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME layout_1.log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE layout_1.migration (
    version integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE UNLOGGED TABLE layout_1.packet (
    id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    body bytea NOT NULL
);
ALTER TABLE ONLY layout_1.packet ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE layout_1.record (
    kind text NOT NULL COLLATE pg_catalog."C",
    parent text NOT NULL COLLATE pg_catalog."C",
    id text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    value text COLLATE pg_catalog."C",
    expires_at bigint NOT NULL
)
WITH (fillfactor='80');
CREATE TABLE layout_1.record_count (
    kind text NOT NULL COLLATE pg_catalog."C",
    parent text NOT NULL COLLATE pg_catalog."C",
    records bigint NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE layout_1.removed_log (
    log_id bigint NOT NULL
);
CREATE UNLOGGED TABLE layout_1.server_life (
    only_one boolean NOT NULL,
    token uuid NOT NULL,
    CONSTRAINT server_life_only_one_check CHECK (only_one)
);
INSERT INTO layout_1.entry VALUES (1, 1, 590129613, 1795247578380, 0, 9, 8980179939682, 'id-of-1', 'alice', NULL, '\x626f6479206f662031');
INSERT INTO layout_1.entry VALUES (1, 2, 590129613, 1795247578380, 0, 18, 8978159593506, 'id-of-2', 'alice', NULL, '\x626f6479206f662032');
INSERT INTO layout_1.entry VALUES (1, 3, 590129613, 1795247578380, 0, 27, 8981363212457, 'id-of-3', 'alice', NULL, '\x626f6479206f662033');
INSERT INTO layout_1.epoch_link VALUES (1, 1, 590129613, 1);
INSERT INTO layout_1.idempotency_key VALUES (1, '493df89c-4f3d-be23-e582-631d937f6b28', 1, 590129613, 1795247578380, 7);
INSERT INTO layout_1.idempotency_key VALUES (1, '6bc3f619-ae90-c6c0-7151-fc943bbacab7', 2, 590129613, 1795247578380, 7);
INSERT INTO layout_1.idempotency_key VALUES (1, '6f94d8ba-acf1-be3f-a7aa-e3702e7eb393', 3, 590129613, 1795247578380, 7);
INSERT INTO layout_1.log OVERRIDING SYSTEM VALUE VALUES (1, 'science:explore', 'first', 1, 0, 3, 1, 0, 27, 1795247578380, 590129613, '1795247576988105/bbfb5e27-dbdb-4fbf-97ea-bf4342f8ab9b');
INSERT INTO layout_1.migration VALUES (1, '2026-11-21 07:52:58.173786+00');
INSERT INTO layout_1.record VALUES ('room', '', 'lab', 2, '{"description":"the lab"}', 0);
INSERT INTO layout_1.record VALUES ('room', '', 'gone', 1, NULL, 1795248178395);
INSERT INTO layout_1.record VALUES ('channel', 'lab', 'a', 1, '{"topic":"ä\nb"}', 2110607578399);
INSERT INTO layout_1.record_count VALUES ('room', '', 1);
INSERT INTO layout_1.record_count VALUES ('channel', 'lab', 1);
INSERT INTO layout_1.server_life VALUES (true, 'bbfb5e27-dbdb-4fbf-97ea-bf4342f8ab9b');
SELECT pg_catalog.setval('layout_1.log_id_seq', 1, true);
ALTER TABLE ONLY layout_1.entry
    ADD CONSTRAINT entry_pkey PRIMARY KEY (log_id, sequence);
ALTER TABLE ONLY layout_1.epoch_link
    ADD CONSTRAINT epoch_link_pkey PRIMARY KEY (log_id, number);
ALTER TABLE ONLY layout_1.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (log_id, fingerprint);
ALTER TABLE ONLY layout_1.log
    ADD CONSTRAINT log_name_key UNIQUE (name);
ALTER TABLE ONLY layout_1.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY layout_1.migration
    ADD CONSTRAINT migration_pkey PRIMARY KEY (version);
ALTER TABLE ONLY layout_1.packet
    ADD CONSTRAINT packet_pkey PRIMARY KEY (id);
ALTER TABLE ONLY layout_1.record_count
    ADD CONSTRAINT record_count_pkey PRIMARY KEY (kind, parent);
ALTER TABLE ONLY layout_1.record
    ADD CONSTRAINT record_pkey PRIMARY KEY (kind, parent, id);
ALTER TABLE ONLY layout_1.removed_log
    ADD CONSTRAINT removed_log_pkey PRIMARY KEY (log_id);
ALTER TABLE ONLY layout_1.server_life
    ADD CONSTRAINT server_life_pkey PRIMARY KEY (only_one);
CREATE INDEX entry_by_id ON layout_1.entry USING btree (log_id, id);
CREATE INDEX idempotency_key_by_age ON layout_1.idempotency_key USING btree (accepted_at);
CREATE INDEX record_by_expiry ON layout_1.record USING btree (expires_at) WHERE (expires_at > 0);
