import mysql, { type RowDataPacket } from "mysql2/promise";
import pg from "pg";
import { createPayload } from "./payload.ts";

/** A connection for each row that is being stored. */
export interface Rows {
  insert(): Promise<void>;
  stored(): Promise<number>;
}

/** Makes the table the first time; each caller has a connection of its own. */
export async function openRows(dialect: "postgres" | "mysql", url: string, sender: string): Promise<Rows> {
  return dialect === "postgres" ? await openPostgres(url, sender) : await openMysql(url, sender);
}

async function openPostgres(url: string, sender: string): Promise<Rows> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("select pg_advisory_lock(1)");
  await client.query(
    "create table if not exists bench (id bigint generated always as identity primary key, sender text, body bytea)",
  );
  await client.query("select pg_advisory_unlock(1)");
  const values = [sender, createPayload()];
  return {
    async insert() {
      await client.query({ name: "insert", text: "insert into bench (sender, body) values ($1, $2)", values });
    },
    stored: async () => Number((await client.query("select count(*) as n from bench")).rows[0].n),
  };
}

async function openMysql(url: string, sender: string): Promise<Rows> {
  const client = await mysql.createConnection(url);
  await client.query(
    "create table if not exists bench (id bigint auto_increment primary key, sender varchar(128), body blob) engine = innodb",
  );
  const values = [sender, createPayload()];
  return {
    async insert() {
      await client.execute("insert into bench (sender, body) values (?, ?)", values);
    },
    async stored() {
      const [rows] = await client.query<RowDataPacket[]>("select count(*) as n from bench");
      return Number(rows[0]!["n"]);
    },
  };
}
