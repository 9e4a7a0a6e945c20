import { postgres } from "./postgres.ts";
import type { ServerProgram } from "./server-kind.ts";

export type PgbouncerMode = "session" | "transaction" | "statement";

export interface PgbouncerOptions {
  readonly mode: PgbouncerMode;
  /** Of the PostgreSQL behind it, on 127.0.0.1. */
  readonly serverPort: number;
  /** Lines of its configuration. */
  readonly settings?: readonly string[];
}

/** Where its program is, without a server behind it. */
export const pgbouncerProgram = {
  programs: ["pgbouncer"],
  folders: ["/usr/sbin", "/usr/bin"],
  aptPackage: "pgbouncer",
} as const;

/** PgBouncer in front of one PostgreSQL. Everybody is the user postgres there. */
export const pgbouncer = ({ mode, serverPort, settings = [] }: PgbouncerOptions): ServerProgram => ({
  ...pgbouncerProgram,
  name: "pgbouncer",
  users: ["postgres", "nobody"],
  stopSignal: "SIGINT",
  prepare: ({ port }) => [
    "/bin/sh",
    ...["-c", 'printf "%s\\n" "$@" > pgbouncer.ini', "sh"],
    ...["[databases]", `* = host=127.0.0.1 port=${serverPort} user=postgres`],
    ...["[pgbouncer]", "listen_addr = 127.0.0.1", `listen_port = ${port}`, "unix_socket_dir =", "auth_type = any"],
    ...[`pool_mode = ${mode}`, ...settings],
  ],
  serve: ({ programs, folder }) => [programs[0]!, `${folder}/pgbouncer.ini`],
  url: postgres.url,
  probe: postgres.probe,
});
