import { Redis } from "ioredis";
import { createRedisStorage } from "../../src/storage/redis/index.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { describeRelay } from "./relay.ts";
import { onServer, PATIENT } from "./served-storage.ts";
import { describeWithServer } from "./server.ts";
import { describeShared } from "./shared.ts";

const open = (server: string) =>
  onServer(server, {
    node: (url, prefix, environment) => createRedisStorage(url, { prefix, heartbeatMs: 100, ...PATIENT }, environment),
    remove: removeKeys,
  });

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
