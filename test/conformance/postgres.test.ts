import { randomBytes } from "node:crypto";
import pg from "pg";
import { createPostgresStorage } from "../../src/storage/postgres/index.ts";
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
    const prefix = `test_${randomBytes(6).toString("hex")}`;
    const proxied = await openProxiedUrl(url);
    const node = (nodeUrl: string) => {
      return createPostgresStorage(nodeUrl, { prefix, maxConnections: 4, heartbeatMs: 500 }, environment);
    };
    // Both at once: one of them makes the schema, the other finds it made.
    const [first, other] = await Promise.all([node(proxied.url), node(url)]);
    let newest = first;
    return {
      storage: first,
      other,
      advance,
      cutOff: proxied.cutOff,
      async reopen() {
        await newest.close();
        newest = await node(proxied.url);
        return newest;
      },
      async dispose() {
        await Promise.all([newest.close(), other.close()]);
        await proxied.proxy.close();
        const client = new pg.Client({ connectionString: url });
        await client.connect();
        await client.query(`DROP SCHEMA "${prefix}" CASCADE`);
        await client.end();
      },
    };
  };

await describeWithServer("postgres", (url) => {
  describeMessageLog("S0-2.1.4d postgres", open(url));
  describeDirectory("S0-2.1.4d postgres", open(url));
  describeDoorbell("S0-2.1.4d postgres", open(url));
  describeRelay("S0-2.1.4d postgres", open(url));
  describeShared("S0-2.1.4d postgres", open(url));
});
