import pg from "pg";
import type { ServerKind } from "./server-kind.ts";

const unsafe = (fsync: boolean) =>
  fsync ? [] : ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"];

export const postgres: ServerKind = {
  name: "postgres",
  variable: "POSTGRES_URL",
  programs: ["initdb", "postgres"],
  folders: ["/usr/lib/postgresql/*/bin"],
  aptPackage: "postgresql",
  users: ["postgres", "nobody"],
  // "Fast": sessions are broken off, the data is written.
  stopSignal: "SIGINT",
  docker: {
    image: "postgres:17",
    port: 5432,
    env: { POSTGRES_HOST_AUTH_METHOD: "trust" },
    args: (fsync) => ["postgres", ...unsafe(fsync)],
  },
  prepare: ({ programs, folder }) => [
    programs[0]!,
    ...["-D", `${folder}/data`, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
  ],
  serve: ({ programs, port, folder, fsync }) => [
    programs[1]!,
    ...["-D", `${folder}/data`, "-p", String(port), "-h", "127.0.0.1", "-k", folder, ...unsafe(fsync)],
  ],
  url: (host, port) => `postgres://postgres@${host}:${port}/postgres`,
  // It takes connections while it still recovers, and refuses work meanwhile.
  async probe(_socket, url) {
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.query("select 1");
      return true;
    } finally {
      await client.end();
    }
  },
};
