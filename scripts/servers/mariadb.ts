import { firstBytes } from "./first-bytes.ts";
import type { ServerKind } from "./server-kind.ts";

/** Of its own: a server that starts removes every temporary table from its folder, also another server's. */
const temporary = (folder: string) => `--tmpdir=${folder}`;
const commit = (fsync: boolean) => `--innodb-flush-log-at-trx-commit=${fsync ? 1 : 0}`;

export const mariadb: ServerKind = {
  name: "mariadb",
  variable: "MYSQL_URL",
  programs: ["mariadb-install-db", "mariadbd"],
  folders: ["/usr/sbin", "/usr/bin"],
  aptPackage: "mariadb-server",
  users: ["mysql", "nobody"],
  stopSignal: "SIGTERM",
  docker: {
    image: "mariadb:10.11",
    port: 3306,
    env: { MARIADB_ALLOW_EMPTY_ROOT_PASSWORD: "1", MARIADB_DATABASE: "test", MARIADB_ROOT_HOST: "%" },
    args: (fsync) => [commit(fsync)],
  },
  prepare: ({ programs, folder }) => [
    programs[0]!,
    ...["--no-defaults", `--datadir=${folder}/data`, "--auth-root-authentication-method=normal"],
    ...["--skip-test-db", "--skip-name-resolve", temporary(folder)],
  ],
  serve: ({ programs, port, folder, fsync }) => [
    programs[1]!,
    ...["--no-defaults", `--datadir=${folder}/data`, `--port=${port}`, "--bind-address=127.0.0.1"],
    ...[`--socket=${folder}/s.sock`, `--pid-file=${folder}/p.pid`, "--skip-name-resolve", "--skip-log-bin"],
    ...[commit(fsync), temporary(folder), "--innodb-buffer-pool-size=64M", "--innodb-log-file-size=16M"],
  ],
  url: (host, port) => `mysql://root@${host}:${port}/mysql`,
  // It greets first: three bytes of length, one of number, then the protocol's version, 10.
  probe: async (socket) => (await firstBytes(socket)).charCodeAt(4) === 10,
};
