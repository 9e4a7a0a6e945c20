import pg from "pg";
import { createPostgresStorage } from "../../src/storage/postgres/index.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { describeRelay } from "./relay.ts";
import { onServer, PATIENT } from "./served-storage.ts";
import { describeWithServer } from "./server.ts";
import { describeShared } from "./shared.ts";

const open = (server: string) =>
  onServer(server, {
    node: (url, prefix, environment) =>
      createPostgresStorage(url, { prefix, maxConnections: 4, ...PATIENT }, environment),
    async remove(url, prefix) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      await client.query(`DROP SCHEMA "${prefix}" CASCADE`);
      await client.end();
    },
  });

await describeWithServer("postgres", (url) => {
  describeMessageLog("S0-2.1.4d postgres", open(url));
  describeDirectory("S0-2.1.4d postgres", open(url));
  describeDoorbell("S0-2.1.4d postgres", open(url));
  describeRelay("S0-2.1.4d postgres", open(url));
  describeShared("S0-2.1.4d postgres", open(url));
});
