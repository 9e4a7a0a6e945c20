import { Redis } from "ioredis";
import { createRedisStorage, type RedisStorageOptions } from "../../src/storage/redis/index.ts";
import { NAME } from "../conformance/appending.ts";
import type { StartServer } from "../support/server-process.ts";
import { type Backend, type FaultyBackend, useBackend } from "./shared/backend.ts";

const HEARTBEAT_MS = 200;

export interface RedisBackend extends FaultyBackend, Backend<RedisStorageOptions> {
  open: Backend<RedisStorageOptions>["open"];
  openAt: Backend<RedisStorageOptions>["openAt"];
  /** A client that acts behind the adapter's back. It is closed when the test is over. */
  client(port?: number): Redis;
  /** A key of the log that the test is about. */
  key(name: "log" | "stream" | "keys:0" | "keys:1"): string;
}

/** A block as the stream has it: its id, and names and values in turn. */
type Block = readonly [id: Buffer, fields: Buffer[]];

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

  /** Of the blocks' last messages. Each of them was one append, so no block reaches over. */
  async function removeBlocks(redis: Redis, isIt: (last: number) => boolean): Promise<void> {
    for (const [id] of await redis.xrange(key("stream"), "-", "+")) {
      if (isIt(Number.parseInt(id, 10))) await redis.xdel(key("stream"), id);
    }
  }

  return Object.assign(backend, {
    product: "Redis",
    client,
    key,
    openSingle: (port: number) => backend.open({}, port), // it has but one for commands
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
      await removeBlocks(redis, (last) => last > head);
      await redis.call("XSETID", key("stream"), `${head}-0`);
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
    async setDurability(level: "STORED" | "SYNCED") {
      const set = (value: "always" | "everysec") => client().config("SET", "appendfsync", value);
      backend.after(() => set("always"));
      await set(level === "SYNCED" ? "always" : "everysec");
    },
    async dataFolder() {
      return ((await client().config("GET", "dir")) as string[])[1]!;
    },
    async markNewer() {
      await client().set(`{${backend.prefix}}:layout`, "2");
    },
    layout: () => client().get(`{${backend.prefix}}:layout`),
    async removeAll() {
      const redis = client();
      const keys = await redis.keys(`{${backend.prefix}*`);
      await redis.del(...keys);
    },
    async changeBody(sequence: number) {
      const redis = client();
      const stream = key("stream");
      const blocks = (await redis.xrangeBuffer(stream, "-", "+")) as unknown as readonly Block[];
      await redis.del(stream);
      for (const [id, fields] of blocks) {
        for (const value of fields) {
          const at = value.indexOf(`body of ${sequence}`);
          if (at >= 0) value[at]! ^= 1;
        }
        await redis.call("XADD", stream, id.toString(), ...fields);
      }
    },
    async remove(first: number, last: number) {
      await removeBlocks(client(), (end) => end >= first && end <= last);
    },
  });
}
