import { createConnection } from "mysql2/promise";
import { createMysqlStorage } from "../../src/storage/mysql/index.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { onServer, PATIENT } from "./served-storage.ts";
import { describeWithServer } from "./server.ts";
import { describeShared } from "./shared.ts";

const open = (server: string) =>
  onServer(server, {
    node: (url, prefix, environment) => createMysqlStorage(url, { prefix, poolSize: 4, ...PATIENT }, environment),
    remove: dropTables,
  });

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
