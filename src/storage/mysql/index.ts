export { createMysqlStorage, type MysqlStorageOptions, mysqlStorage, type TlsMode } from "./mysql-storage.ts";
