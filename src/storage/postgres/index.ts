export type { PostgresStorageOptions } from "./options.ts";
export { createPostgresStorage, postgresStorage } from "./postgres-storage.ts";
