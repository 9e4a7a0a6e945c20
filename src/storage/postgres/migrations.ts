import type { Migration, MigrationSession } from "../sql/migrations.ts";
import { migrate } from "../sql/migrations.ts";
import type { Database, Queries } from "./database.ts";
import { createLogFunctions } from "./log-functions.ts";
import { createRecordFunctions } from "./record-functions.ts";
import { createChecks, createTables, fillChecks } from "./tables.ts";

/**
 * Tables change step by step: a step never changes once it is released, new ones go to the end. Functions have no history:
 * the last step makes all of them as they are now, and nodes that still run the program before call them by the same names
 * and arguments. `s` is the schema, as a quoted identifier.
 */
const migrationsFor = (s: string): readonly Migration[] => [
  { version: 1, statements: createTables(s) },
  {
    version: 2,
    statements: [...createChecks(s), ...createLogFunctions(s), ...createRecordFunctions(s), ...fillChecks(s)],
  },
];

/**
 * Makes the schema, or brings it up to date, in one transaction under an advisory lock: of two nodes that start at once one
 * does it and the other finds it done. Throws an Error when the schema is a newer program's.
 */
export async function migrateSchema(database: Database, prefix: string): Promise<readonly number[]> {
  const schema = quoted(prefix);
  return await database.transaction(async (queries) => {
    await queries.query({ text: "SELECT pg_advisory_xact_lock(hashtextextended('agentbus migration ' || $1, 0))" }, [
      prefix,
    ]);
    return await migrate(sessionOn(queries, prefix), migrationsFor(schema), `schema ${schema}`);
  });
}

function sessionOn(queries: Queries, prefix: string): MigrationSession {
  const schema = quoted(prefix);
  const run = (text: string) => queries.query({ text }, []);
  return {
    async version() {
      // CREATE SCHEMA IF NOT EXISTS wants the right to make one even when it is there.
      const found = await queries.query({ text: "SELECT FROM pg_namespace WHERE nspname = $1" }, [prefix]);
      if (found.length === 0) await run(`CREATE SCHEMA ${schema}`);
      await run(
        `CREATE TABLE IF NOT EXISTS ${schema}.migration (
           version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
      );
      const rows = await queries.query<{ version: number }>(
        { text: `SELECT coalesce(max(version), 0) AS version FROM ${schema}.migration` },
        [],
      );
      return rows[0]!.version;
    },
    async apply({ version, statements }) {
      for (const statement of statements) await run(statement);
      await queries.query({ text: `INSERT INTO ${schema}.migration (version) VALUES ($1)` }, [version]);
    },
  };
}

/** The prefix is checked: it holds no quote. */
export function quoted(prefix: string): string {
  return `"${prefix}"`;
}
