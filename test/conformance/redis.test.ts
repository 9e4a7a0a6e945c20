import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { createRedisStorage } from "../../src/storage/redis/index.ts";
import { openProxiedUrl } from "../support/proxied-url.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";
import { describeRelay } from "./relay.ts";
import { describeWithServer } from "./server.ts";
import { describeShared } from "./shared.ts";

const open =
  (url: string): OpenStorage =>
  async () => {
    const { environment: local, advance } = testEnvironment();
    const environment = { ...local, storeClock: local.now };
    const prefix = `test-${randomBytes(6).toString("hex")}`;
    const proxied = await openProxiedUrl(url);
    const node = (at = proxied.url) => createRedisStorage(at, { prefix, heartbeatMs: 100 }, environment);
    let [newest, other] = await Promise.all([node(), node(url)]);
    return {
      storage: newest,
      other,
      advance,
      cutOff: proxied.cutOff,
      async reopen() {
        await newest.close();
        newest = await node();
        return newest;
      },
      async dispose() {
        await Promise.all([newest.close(), other.close()]);
        await Promise.all([proxied.proxy.close(), removeKeys(url, prefix)]);
      },
    };
  };

async function removeKeys(url: string, prefix: string): Promise<void> {
  const client = new Redis(url);
  for await (const keys of client.scanStream({ match: `{${prefix}*`, count: 1_000 })) {
    if (keys.length > 0) await client.unlink(...keys);
  }
  client.disconnect();
}

await describeWithServer("redis", (url) => {
  describeMessageLog("S1-4.1c redis", open(url));
  describeDirectory("S1-4.1c redis", open(url));
  describeDoorbell("S1-4.1c redis", open(url));
  describeRelay("S1-4.1c redis", open(url));
  describeShared("S1-4.1c redis", open(url));
});
