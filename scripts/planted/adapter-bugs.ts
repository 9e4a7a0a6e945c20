// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the patches are of source text that has template literals

import type { PlantedBug } from "./planted-bug.ts";

const REDIS = "test/conformance/redis.test.ts";
const POSTGRES = "test/conformance/postgres.test.ts";
const MYSQL = "test/conformance/mysql.test.ts";
/** Each starts a server of its own, which it stops, kills, cuts off and sets back. */
const REDIS_FAULTS = "test/fault/redis.test.ts";
const POSTGRES_FAULTS = "test/fault/postgres.test.ts";
const MYSQL_FAULTS = "test/fault/mysql.test.ts";
const POSTGRES_FUNCTIONS = "src/storage/postgres/log-functions.ts";
const MYSQL_APPENDER = "src/storage/mysql/appender.ts";

const NUMBERS = "S3-FR-004: numbers what both append without holes or doubles, and both read the same";
const KEY_ONCE = "stores a key once that both bring at the same time, and tells the other where it is";
const FENCE = "a fence of one makes the other's batches stale from an exact sequence on";
const RUNG = "is rung by a shared storage's logs on every node, with head and epoch";
const LOST_ANSWER = "S0-2.3.3: a message whose answer was lost is a duplicate when it is sent again";
const OTHER_NODES_KEY =
  "S0-2.3.3: a key stored through one node is a duplicate on the other, at once and for a newcomer";
const LOST_TAIL = "a tail lost over kill -9 shows: what is issued anew has another epoch, and readers are told";
const RESTORED = "a restored backup is noticed: numbers issued again have a new epoch, and readers learn of it";
const RELOADED = "the next append begins a new epoch, and readers of what is lost are told";
const RELOADED_UNDER_WAY = "appends that are on their way get no sequence that their epoch has given before";
const KILLED = "S3-E.5: nothing is lost over kill -9; it heals by itself and goes on under a new epoch";
const KILLED_UNDER_LOAD = "S3-SC-003: a kill under load loses nothing that was acknowledged and leaves no hole";

/** Bugs of the adapters, planted in them and caught by tests against the real servers. */
export const ADAPTER_BUGS: readonly PlantedBug[] = [
  {
    name: "postgres: sequence taken from a serial",
    harm: "two nodes commit in another order than their numbers: a reader passes a message that was not there yet",
    patches: [
      {
        file: POSTGRES_FUNCTIONS,
        find: "export const createLogFunctions = (s: string): readonly string[] => [\n",
        replace:
          "export const createLogFunctions = (s: string): readonly string[] => [\n  `CREATE SEQUENCE ${s}.serial`,\n",
      },
      {
        file: POSTGRES_FUNCTIONS,
        find: "     SELECT l.*, ${IS_AS_WRITTEN} AS is_as_written INTO v_log FROM ${s}.log l WHERE l.name = p_name FOR UPDATE;\n     IF NOT FOUND OR v_log.inc",
        replace:
          "     SELECT l.*, ${IS_AS_WRITTEN} AS is_as_written INTO v_log FROM ${s}.log l WHERE l.name = p_name;\n     IF NOT FOUND OR v_log.inc",
      },
      // The pause stands for what else is done between a number and its commit.
      {
        file: POSTGRES_FUNCTIONS,
        find: "     o_head := v_log.head;\n",
        replace:
          "     o_head := (SELECT min(n) - 1 FROM (SELECT nextval('${s}.serial') AS n FROM unnest(p_ids)) AS drawn);\n     PERFORM pg_sleep(random() / 200);\n",
      },
      {
        file: POSTGRES_FUNCTIONS,
        find: "PERFORM ${s}.store(v_log.id, v_log.head, v_log",
        replace: "PERFORM ${s}.store(v_log.id, o_head, v_log",
      },
    ],
    caughtBy: [{ file: POSTGRES, title: NUMBERS }],
  },
  {
    name: "mysql: head read outside the lock",
    harm: "two nodes give the same numbers to different messages, and one of them is lost",
    patches: [
      {
        file: MYSQL_APPENDER,
        find: "selectLog(t, name.key, clock.sql, true)",
        replace: "selectLog(t, name.key, clock.sql, false)",
      },
    ],
    caughtBy: [{ file: MYSQL, title: NUMBERS }],
  },
  {
    name: "redis: keys of other nodes not looked up",
    harm: "a publish that is repeated over another node is stored twice",
    patches: [
      {
        file: "src/storage/redis/scripts/append-new.ts",
        find: "    if newer[i] or older[i] then return false end\n",
        replace: "",
      },
    ],
    caughtBy: [
      { file: REDIS, title: KEY_ONCE },
      { file: REDIS_FAULTS, title: LOST_ANSWER },
    ],
  },
  {
    name: "postgres: keys of other nodes not looked up",
    harm: "a publish that is repeated over another node is stored twice",
    patches: [
      { file: POSTGRES_FUNCTIONS, find: "     IF FOUND THEN\n", replace: "     IF false THEN\n" },
      {
        file: POSTGRES_FUNCTIONS,
        find: "WITH ORDINALITY AS r (key, digest, n) WHERE r.key IS NOT NULL;",
        replace: "WITH ORDINALITY AS r (key, digest, n) WHERE r.key IS NOT NULL ON CONFLICT DO NOTHING;",
      },
    ],
    caughtBy: [
      { file: POSTGRES, title: KEY_ONCE },
      { file: POSTGRES_FAULTS, title: OTHER_NODES_KEY },
    ],
  },
  {
    name: "mysql: keys of other nodes not looked up",
    harm: "a publish that is repeated over another node is stored twice",
    patches: [
      {
        file: "src/storage/mysql/key-window.ts",
        find: "        for (const block of blocks) this.#learn(log.id, block);\n",
        replace: "",
      },
    ],
    caughtBy: [
      { file: MYSQL, title: KEY_ONCE },
      { file: MYSQL, title: "forgets a key on both when its window is over" },
    ],
  },
  {
    name: "redis: the server's life ignored",
    harm: "after a fail-over or a restored backup the same positions are issued again, and readers miss what took them",
    patches: [
      {
        file: "src/storage/redis/scripts/lua-append.ts",
        find: "  if server == log.life and (seen_head or 0) <= log.head then return end\n",
        replace: "  if server then return end\n",
      },
    ],
    caughtBy: [
      { file: REDIS_FAULTS, title: LOST_TAIL },
      { file: REDIS_FAULTS, title: RESTORED },
    ],
  },
  {
    name: "postgres: the server's life ignored",
    harm: "after a fail-over or a restored backup the same positions are issued again, and readers miss what took them",
    patches: [
      {
        file: POSTGRES_FUNCTIONS,
        find: "\n        OR NOT v_log.is_as_written OR v_log.life IS DISTINCT FROM ${s}.life() THEN",
        replace: " THEN",
      },
    ],
    caughtBy: [
      { file: POSTGRES_FAULTS, title: LOST_TAIL },
      { file: POSTGRES_FAULTS, title: RESTORED },
    ],
  },
  {
    name: "mysql: the server's life ignored",
    harm: "after a fail-over or a restored backup the same positions are issued again, and readers miss what took them",
    patches: [
      { file: MYSQL_APPENDER, find: "log.serverLife !== life || seen.hasLost(name.key, end)", replace: "false" },
    ],
    caughtBy: [
      { file: MYSQL_FAULTS, title: LOST_TAIL },
      { file: MYSQL_FAULTS, title: RESTORED },
    ],
  },
  {
    name: "postgres: a row that was put back is taken for the bus's own",
    harm: "a dump that is loaded while the server runs makes the same positions be issued again",
    patches: [
      {
        file: "src/storage/postgres/row-writer.ts",
        find: '"coalesce(l.xmin = l.written_by, false)"',
        replace: '"true"',
      },
    ],
    caughtBy: [
      { file: POSTGRES_FAULTS, title: RELOADED },
      { file: POSTGRES_FAULTS, title: RELOADED_UNDER_WAY },
    ],
  },
  {
    name: "postgres: a fence makes a row that was put back the bus's own",
    harm: "after a dump was loaded, a change of the configuration hides that the log is older than what was acknowledged",
    patches: [
      {
        file: "src/storage/postgres/row-writer.ts",
        find: "`CASE WHEN l.xmin = l.written_by THEN ${THIS_WRITER} ELSE l.written_by END`",
        replace: "THIS_WRITER",
      },
    ],
    caughtBy: [{ file: POSTGRES_FAULTS, title: "a configuration that changes first does not hide it" }],
  },
  {
    name: "redis: what a node has seen of a log is not brought along",
    harm: "a dump that is loaded while the server runs makes the same positions be issued again",
    patches: [
      {
        file: "src/storage/redis/scripts/lua-append.ts",
        find: "  if server == log.life and (seen_head or 0) <= log.head then return end\n",
        replace: "  if server == log.life then return end\n",
      },
    ],
    caughtBy: [
      { file: REDIS_FAULTS, title: RELOADED },
      { file: REDIS_FAULTS, title: RELOADED_UNDER_WAY },
    ],
  },
  {
    name: "redis: a damaged record is overwritten by who believes to know it",
    harm: "damage is taken for a version, and what was there is lost without a word",
    patches: [
      {
        file: "src/storage/redis/scripts/put-record.ts",
        find: "if ARGV[4] ~= '' and record and not is_intact(place, record) then return { 'damaged' } end\n",
        replace: "",
      },
    ],
    caughtBy: [{ file: REDIS_FAULTS, title: "are not overwritten or removed by who believes to know them" }],
  },
  {
    name: "redis: appends do not ring",
    harm: "readers on other nodes get messages only when their node looks by itself",
    patches: [
      {
        file: "src/storage/redis/scripts/lua-append.ts",
        find: "  if channel ~= '' then\n",
        replace: "  if false then\n",
      },
    ],
    caughtBy: [{ file: REDIS, title: RUNG }],
  },
  {
    name: "postgres: NOTIFY lost",
    harm: "readers on other nodes get messages only when their node looks by itself",
    patches: [
      {
        file: "src/storage/postgres/postgres-doorbell.ts",
        find: "pg_notify($1, payload) FROM",
        replace: "$1::text, payload FROM",
      },
    ],
    caughtBy: [
      { file: POSTGRES, title: "S0-3.1.2: brings a ring to every listener, on every node" },
      { file: POSTGRES, title: RUNG },
    ],
  },
  {
    name: "mysql: appends do not ring",
    harm: "readers on other nodes get messages only when their node looks by itself",
    patches: [{ file: MYSQL_APPENDER, find: "      ...rings.insert(ring),\n", replace: "" }],
    caughtBy: [{ file: MYSQL, title: RUNG }],
  },
  {
    name: "redis: ack before commit",
    harm: "a publish is answered before the server has it, and is lost when the connection breaks",
    patches: [
      {
        file: "src/storage/redis/redis-message-log.ts",
        find: "export class RedisMessageLog",
        replace: "const HEADS = new Map<string, number>();\nexport class RedisMessageLog",
      },
      {
        file: "src/storage/redis/redis-message-log.ts",
        find: "    if (mayBeAllNew(batches)) {\n",
        replace: `    if (mayBeAllNew(batches)) {
      const first = (HEADS.get(keys[0]!) ?? 0) + 1;
      HEADS.set(keys[0]!, first - 1 + batches.reduce((sum, { records }) => sum + records.length, 0));
      this.#run(APPEND_NEW, keys, [...common, ...newArguments(batches, commit)]).catch(() => {});
      if (first > 0) return toOutcomes(batches, [Date.now(), 1, first]);
`,
      },
    ],
    caughtBy: [
      { file: REDIS_FAULTS, title: "an append that fails takes those behind it with it" },
      {
        file: REDIS_FAULTS,
        title: "S3-E.5: every operation fails while the server is away, and works again when it is back",
      },
    ],
  },
  {
    name: "postgres: ack before commit",
    harm: "a publish is answered before its commit is on the disk, and is lost when the server dies",
    patches: [
      {
        file: POSTGRES_FUNCTIONS,
        find: "     o_head := v_log.head;\n",
        replace: "     PERFORM set_config('synchronous_commit', 'off', true);\n     o_head := v_log.head;\n",
      },
    ],
    caughtBy: [
      { file: POSTGRES_FAULTS, title: KILLED },
      { file: POSTGRES_FAULTS, title: KILLED_UNDER_LOAD },
    ],
  },
  {
    name: "mysql: ack before commit",
    harm: "a publish is answered before the server has committed it, and is lost when the connection breaks",
    patches: [
      {
        file: "src/storage/mysql/transaction.ts",
        find: '        await send([...statements, "COMMIT"]);\n',
        replace: '        send([...statements, "COMMIT"]).catch(() => {});\n',
      },
    ],
    caughtBy: [
      { file: MYSQL_FAULTS, title: LOST_ANSWER },
      { file: MYSQL_FAULTS, title: "a server that is full stores nothing and says so; reading goes on" },
    ],
  },
  {
    name: "redis: fence ignored",
    harm: "a message behind the answered position is routed by a configuration that was replaced on another node",
    patches: [
      {
        file: "src/storage/redis/scripts/append-new.ts",
        find: " or log.version ~= tonumber(ARGV[9]) then return false end",
        replace: " then return false end",
      },
    ],
    caughtBy: [{ file: REDIS, title: FENCE }],
  },
  {
    name: "postgres: fence ignored",
    harm: "a message behind the answered position is routed by a configuration that was replaced on another node",
    patches: [{ file: POSTGRES_FUNCTIONS, find: " OR v_log.version <> p_version\n", replace: "\n" }],
    caughtBy: [{ file: POSTGRES, title: FENCE }],
  },
  {
    name: "mysql: fence ignored",
    harm: "a message behind the answered position is routed by a configuration that was replaced on another node",
    patches: [
      {
        file: "src/storage/sql/decide-appends.ts",
        find: '    if (batch.version < version) return { kind: "stale", version };\n',
        replace: "",
      },
    ],
    caughtBy: [{ file: MYSQL, title: FENCE }],
  },
  {
    name: "redis: last of a block passed over",
    harm: "who reads on from the place in front of a block's last message misses that message",
    patches: [
      {
        file: "src/storage/redis/scripts/read-log.ts",
        find: "    page = redis.call('XRANGE', stream, int(at) .. '-0', '+', 'COUNT', at_once)\n",
        replace: "    page = redis.call('XRANGE', stream, int(at) .. '-1', '+', 'COUNT', at_once)\n",
      },
    ],
    caughtBy: [{ file: REDIS, title: "reads forward and backward from any place" }],
  },
  {
    name: "redis: one too many trimmed",
    harm: "a channel keeps one message less than its retention says",
    patches: [
      {
        file: "src/storage/redis/scripts/trim.ts",
        find: "math.min(head - max_messages + 1, head)",
        replace: "math.min(head - max_messages + 2, head)",
      },
    ],
    caughtBy: [{ file: REDIS, title: "is exact by count, whatever the batches were" }],
  },
  {
    name: "redis: young keys go with their lot",
    harm: "a publish that is repeated within its window is stored twice, when the channel is busy",
    patches: [
      {
        file: "src/storage/redis/scripts/lua-append.ts",
        find: "log.time - log.generation_start >= window or",
        replace: "log.time - log.generation_start >= window / 2 or",
      },
    ],
    caughtBy: [{ file: REDIS, title: "is remembered for its whole window, however many others come meanwhile" }],
  },
];
