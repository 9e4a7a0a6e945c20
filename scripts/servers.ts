/**
 * `npm run servers -- redis postgres [--fsync]`: starts the servers that tests and benches use, prints their URLs, and
 * stops them at Ctrl-C. See scripts/servers/obtain.ts for where they come from.
 */
import { parseArgs } from "node:util";
import { type ObtainedServer, obtainServer, SERVER_KINDS } from "./servers/obtain.ts";
import type { ServerName } from "./servers/server-kind.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { fsync: { type: "boolean", default: false } },
});
const unknown = positionals.filter((name) => !Object.hasOwn(SERVER_KINDS, name));
if (positionals.length === 0 || unknown.length > 0) {
  console.error(`usage: npm run servers -- [--fsync] ${Object.keys(SERVER_KINDS).join("|")} …`);
  process.exit(2);
}
const servers: ObtainedServer[] = [];
for (const name of positionals as ServerName[]) {
  const server = await obtainServer(name, { fsync: values.fsync });
  if (server === undefined) continue;
  servers.push(server);
  console.log(`${SERVER_KINDS[name].variable}=${server.url}  (${server.source})`);
}
const keepAlive = setInterval(() => {}, 2 ** 30);
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    clearInterval(keepAlive);
    void Promise.all(servers.map((server) => server.stop()));
  });
}
