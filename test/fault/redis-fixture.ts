import { Redis } from "ioredis";
import { createRedisStorage, type RedisStorageOptions } from "../../src/storage/redis/index.ts";
import type { StorageAdapter } from "../../src/storage/storage-adapter.ts";
import { NAME } from "../conformance/appending.ts";
import type { StartServer } from "../support/server-process.ts";
import { type Backend, type FaultyBackend, realTime, TIMEOUT_MS, useBackend } from "./shared/backend.ts";

const HEARTBEAT_MS = 200;

export interface RedisBackend extends FaultyBackend, Backend<RedisStorageOptions> {
  open: Backend<RedisStorageOptions>["open"];
  openAt: Backend<RedisStorageOptions>["openAt"];
  /** A client that acts behind the adapter's back. It is closed when the test is over. */
  client(port?: number): Redis;
  /** A key of the log that the test is about. */
  key(name: "log" | "stream" | "keys:0" | "keys:1"): string;
  /** Changes the stored block that ends with this sequence. */
  editBlock(last: number, edit: (header: Buffer, body: Buffer) => void): Promise<void>;
}

/** A block as the stream has it: its id, and names and values in turn. */
type Block = readonly [id: Buffer, fields: Buffer[]];

/** Any Redis, not the test file's own. Whoever opens it closes it. */
export function openRedis(url: string, options: RedisStorageOptions = {}): Promise<StorageAdapter> {
  return createRedisStorage(url, { heartbeatMs: HEARTBEAT_MS, timeoutMs: TIMEOUT_MS, ...options }, realTime());
}

export function useRedis(start: StartServer): RedisBackend {
  const backend = useBackend<RedisStorageOptions>({
    start,
    open: (url, options, environment) => {
      return createRedisStorage(url, { heartbeatMs: HEARTBEAT_MS, ...options }, environment);
    },
  });

  function client(port = backend.server.port): Redis {
    const redis = new Redis(port, "127.0.0.1");
    redis.on("error", () => {});
    backend.after(() => redis.disconnect());
    return redis;
  }
  const key: RedisBackend["key"] = (name) => `{${backend.prefix}:${NAME.key}}:${name}`;

  /** Streams take nothing in their middle, and a newer server lets none end before what was deleted: it is stored anew. */
  async function rewriteBlocks(keep: (last: number, fields: Buffer[]) => boolean): Promise<void> {
    const redis = client();
    const blocks = (await redis.xrangeBuffer(key("stream"), "-", "+")) as unknown as readonly Block[];
    await redis.del(key("stream"));
    for (const [id, fields] of blocks) {
      if (!keep(Number.parseInt(id.toString(), 10), fields)) continue;
      await redis.call("XADD", key("stream"), id.toString(), ...fields);
    }
  }

  async function editBlock(last: number, edit: (header: Buffer, body: Buffer) => void): Promise<void> {
    await rewriteBlocks((end, fields) => {
      if (end === last) edit(fields[1]!, fields[3]!);
      return true;
    });
  }

  const impatient = { timeoutMs: TIMEOUT_MS, connectTimeoutMs: TIMEOUT_MS };
  const openImpatient = (port?: number) => backend.open(impatient, port);

  return Object.assign(backend, {
    product: "Redis",
    knowsOlderRows: false,
    mergesRings: false,
    client,
    key,
    openImpatient,
    openSingle: openImpatient, // it has but one connection for commands
    openNarrow: () => backend.open({ maxRelayBytes: 2 ** 20 }),
    async fill() {
      const redis = client();
      const makeRoom = () => redis.config("SET", "maxmemory", "0");
      backend.after(makeRoom);
      await redis.config("SET", "maxmemory", "1mb");
      return makeRoom;
    },
    async breakAppends() {
      await client().set(key("stream"), "of another type");
      return /WRONGTYPE/;
    },
    async loseTail(head: number) {
      const redis = client();
      // Each message was one append, so no block reaches over.
      await rewriteBlocks((last) => last <= head);
      await redis.hset(key("log"), "head", String(head));
      for (const keys of [key("keys:0"), key("keys:1")]) {
        // Under a commit stands "first epoch time", under a key "digest index commit".
        const texts = Object.entries(await redis.hgetall(keys)).map(([field, text]) => ({
          field,
          parts: text.split(" "),
        }));
        const isLost = ({ parts }: (typeof texts)[number]) => parts.length === 3 && Number(parts[0]) > head;
        const commits = new Set(
          texts.filter((each) => /^\d+$/.test(each.parts[2]!) && isLost(each)).map((it) => it.field),
        );
        const lost = texts.filter(({ field, parts }) => commits.has(field) || commits.has(parts[2]!));
        if (lost.length > 0) await redis.hdel(keys, ...lost.map(({ field }) => field));
      }
    },
    async save() {
      const redis = client();
      const names = (["log", "stream", "keys:0", "keys:1"] as const).map(key);
      const saved = await Promise.all(names.map(async (name) => ({ name, dump: await redis.dumpBuffer(name) })));
      return async () => {
        const load = redis.multi();
        for (const { name, dump } of saved) {
          if (dump === null) load.del(name);
          else load.restore(name, 0, dump, "REPLACE");
        }
        await load.exec();
      };
    },
    async setDurability(level: "STORED" | "SYNCED") {
      const set = (value: "always" | "everysec") => client().config("SET", "appendfsync", value);
      backend.after(() => set("always"));
      await set(level === "SYNCED" ? "always" : "everysec");
    },
    async dataFolder() {
      return ((await client().config("GET", "dir")) as string[])[1]!;
    },
    async markNewer() {
      await client().set(`{${backend.prefix}}:layout`, "99");
    },
    layout: () => client().get(`{${backend.prefix}}:layout`),
    async removeAll() {
      const redis = client();
      const keys = await redis.keys(`{${backend.prefix}*`);
      await redis.del(...keys);
    },
    editBlock,
    async changeBody(sequence: number) {
      for (const [id] of await client().xrange(key("stream"), "-", "+")) {
        await editBlock(Number.parseInt(id, 10), (_header, body) => {
          const at = body.indexOf(`body of ${sequence}`);
          if (at >= 0) body[at]! ^= 1;
        });
      }
    },
    async remove(first: number, last: number) {
      await rewriteBlocks((end) => end < first || end > last);
    },
    async changeRoom(id: string, part: "value" | "version") {
      const [rooms, place] = [`{${backend.prefix}:room}:records`, `\0${id}`];
      const raw = (await client().hget(rooms, place))!;
      const changed =
        part === "value" ? raw.replace("a room", "A room") : raw.replace(/^\d+/, (n) => `${Number(n) + 1}`);
      await client().hset(rooms, place, changed);
    },
  });
}
