import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import pg from "pg";

/** Where the nodes of black-box tests keep what they are told. */
export interface TestStorage {
  readonly name: "memory" | "file" | "redis" | "postgres" | "mysql";
  /** Several nodes can use one. */
  readonly shared: boolean;
  /** The durability of an answer, as the SDKs spell it. */
  readonly durability: "volatile" | "stored" | "synced";
  /** The URL of one in which nothing is kept yet, for `--storage`. */
  fresh(): Promise<FreshStorage>;
}

export interface FreshStorage {
  readonly url: string;
  /** Removes what is kept there. */
  remove(): Promise<void>;
}

export const MEMORY: TestStorage = {
  name: "memory",
  shared: false,
  durability: "volatile",
  fresh: async () => ({ url: "memory:", remove: async () => {} }),
};

export const FILE: TestStorage = {
  name: "file",
  shared: false,
  durability: "synced",
  async fresh() {
    const folder = await mkdtemp(join(tmpdir(), "agentbus-data-"));
    return { url: `file:${join(folder, "data")}`, remove: () => rm(folder, { recursive: true, force: true }) };
  },
};

type ServerStorageName = "redis" | "postgres" | "mysql";

/** On a server that others use, too: a prefix of its own each time. `durability` is what that server is set to. */
export function onServer(
  name: ServerStorageName,
  serverUrl: string,
  durability: TestStorage["durability"] = "stored",
): TestStorage {
  return {
    name,
    shared: true,
    durability,
    async fresh() {
      const prefix = `t${randomBytes(8).toString("hex")}`;
      const url = new URL(serverUrl);
      url.searchParams.set("prefix", prefix);
      return { url: url.href, remove: () => removePrefix(name, serverUrl, prefix) };
    },
  };
}

/** Removes everything of one bus from a server. */
export async function removePrefix(name: ServerStorageName, serverUrl: string, prefix: string): Promise<void> {
  if (name === "redis") {
    const client = new Redis(serverUrl);
    for await (const keys of client.scanStream({ match: `{${prefix}*`, count: 1_000 })) {
      if (keys.length > 0) await client.unlink(...(keys as string[]));
    }
    client.disconnect();
  } else if (name === "postgres") {
    const client = new pg.Client({ connectionString: serverUrl });
    await client.connect();
    await client.query(`DROP SCHEMA IF EXISTS "${prefix}" CASCADE`);
    await client.end();
  } else {
    const client = await createConnection(serverUrl);
    const [rows] = await client.query("SHOW TABLES LIKE ?", [`${prefix}%`]);
    const tables = (rows as object[]).map((row) => client.escapeId(String(Object.values(row)[0])));
    if (tables.length > 0) await client.query(`DROP TABLE ${tables.join(", ")}`);
    await client.end();
  }
}
