import { randomBytes } from "node:crypto";
import { createConnection } from "mysql2/promise";
import { createMysqlStorage } from "../../src/storage/mysql/index.ts";
import { openProxiedUrl } from "../support/proxied-url.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";
import { describeWithServer } from "./server.ts";
import { describeShared } from "./shared.ts";

const open =
  (url: string): OpenStorage =>
  async () => {
    const { environment: local, advance } = testEnvironment();
    const environment = { ...local, storeClock: local.now };
    const prefix = `test_${randomBytes(6).toString("hex")}`;
    const proxied = await openProxiedUrl(url);
    const node = (at: string) => createMysqlStorage(at, { prefix, poolSize: 4 }, environment);
    // Both at once: one of them makes the tables, the other waits.
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
        await dropTables(url, prefix);
      },
    };
  };

async function dropTables(url: string, prefix: string): Promise<void> {
  const admin = await createConnection(url);
  const [rows] = await admin.query("SHOW TABLES LIKE ?", [`${prefix}%`]);
  const tables = (rows as object[]).map((row) => admin.escapeId(String(Object.values(row)[0])));
  await admin.query(`DROP TABLE ${tables.join(", ")}`);
  await admin.end();
}

await describeWithServer("mariadb", (url) => {
  describeMessageLog("S0-2.1.4d mysql", open(url));
  describeDirectory("S0-2.1.4d mysql", open(url));
  describeDoorbell("S0-2.1.4d mysql", open(url));
  describeShared("S0-2.1.4d mysql", open(url));
});
