/** Brings the schema from version `n - 1` to `n`. Never changed once released; new ones go to the end of the list. */
export interface Migration {
  /** 1, 2, 3, ... without holes. */
  readonly version: number;
  /** One statement each, in order. */
  readonly statements: readonly string[];
}

/** What a dialect gives the runner: one connection that holds a lock no other node can hold at the same time. */
export interface MigrationSession {
  /** 0: the schema is not there. Makes what it needs to know that. */
  version(): Promise<number>;
  /**
   * Runs the statements and notes the version, in one transaction where the database can. Where it cannot, the statements
   * must bear to be run again (IF NOT EXISTS).
   */
  apply(migration: Migration): Promise<void>;
}

/** No waiting mends it: the storage must not open. */
export class SchemaTooNew extends Error {
  override readonly name = "SchemaTooNew";
}

/**
 * Brings a schema up to date; under the session's lock, so that two nodes that start at once do not meet. Answers the
 * versions that were applied. Throws SchemaTooNew when a newer program has made the schema.
 *
 * @param where names the schema to people, such as `schema "agentbus"`.
 */
export async function migrate(
  session: MigrationSession,
  migrations: readonly Migration[],
  where: string,
): Promise<readonly number[]> {
  const newest = migrations.length;
  const version = await session.version();
  if (version > newest) {
    throw new SchemaTooNew(
      `${where} has version ${version}, written by a newer agentbus; this one knows versions up to ${newest}: update it, or use another prefix`,
    );
  }
  const applied: number[] = [];
  for (const migration of migrations.slice(version)) {
    await session.apply(migration);
    applied.push(migration.version);
  }
  return applied;
}
