import { randomBytes } from "node:crypto";
import pg from "pg";
import { createPostgresStorage } from "../../src/storage/postgres/index.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";
import { describeWithServer } from "./server.ts";

const open =
  (url: string): OpenStorage =>
  async () => {
    const { environment: local, advance } = testEnvironment();
    const environment = { ...local, storeClock: local.now };
    const prefix = `test_${randomBytes(6).toString("hex")}`;
    const node = () => createPostgresStorage(url, { prefix, maxConnections: 4 }, environment);
    // Both at once: one of them makes the schema, the other finds it made.
    const [first, other] = await Promise.all([node(), node()]);
    let newest = first;
    return {
      storage: first,
      other,
      advance,
      async reopen() {
        await newest.close();
        newest = await node();
        return newest;
      },
      async dispose() {
        await Promise.all([newest.close(), other.close()]);
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
});
