import { BusError } from "../../core/errors.ts";
import type { Durability } from "../../core/room.ts";
import { WrongServer } from "./driver-errors.ts";
import { text } from "./sql-text.ts";

/** What matters of the server's settings; read anew with every connection. */
export interface ServerFacts {
  /** "MariaDB 10.11.6" */
  readonly version: string;
  readonly maxPacketBytes: number;
  readonly durability: Durability;
  /** An SQL expression: which server this is, among those that may hold the same data. */
  readonly identity: string;
  /** Closes a connection that lingers inside a transaction (MariaDB). */
  readonly hasTransactionTimeout: boolean;
}

const VARIABLES = [
  "version",
  "max_allowed_packet",
  "read_only",
  "super_read_only",
  "innodb_read_only",
  "innodb_flush_log_at_trx_commit",
  "log_bin",
  "sync_binlog",
  "binlog_format",
  "server_uuid",
  "idle_transaction_timeout",
  "wsrep_on",
  "wsrep_provider",
  "group_replication_group_name",
  "group_replication_single_primary_mode",
] as const;

type Settings = (name: (typeof VARIABLES)[number]) => string;

export const READ_FACTS = `SHOW VARIABLES WHERE Variable_name IN (${VARIABLES.map(text).join(", ")})`;

/** A message of 1 MiB is 2 MiB in a statement; the default of either server is larger. */
const MIN_PACKET_BYTES = 4 * 2 ** 20;
const MIN_MYSQL = [8, 0, 1] as const;
const MIN_MARIADB = [10, 6, 0] as const;

/**
 * Reads the answer to READ_FACTS. Throws WrongServer for a server that needs other settings, and BusError
 * STORAGE_UNAVAILABLE for one that takes no writes now.
 */
export function readFacts(rows: readonly (readonly [name: string, value: string])[]): ServerFacts {
  const values = new Map(rows.map(([name, value]) => [name.toLowerCase(), value]));
  const of: Settings = (name) => values.get(name) ?? "";
  const version = readVersion(of("version"));
  const maxPacketBytes = Number(of("max_allowed_packet"));
  if (maxPacketBytes < MIN_PACKET_BYTES) {
    throw new WrongServer(`max_allowed_packet is ${maxPacketBytes}; set it to ${MIN_PACKET_BYTES} at least`);
  }
  const cluster = writableCluster(of);
  if (cluster !== undefined) {
    throw new WrongServer(
      `it is one of ${cluster}, which all take writes without each other's locks: logs cannot be shared there; use one server that takes writes, with replicas if you like`,
    );
  }
  if (isOn(of("read_only")) || isOn(of("super_read_only")) || isOn(of("innodb_read_only"))) throw readOnlyServer();
  const hasBinlog = isOn(of("log_bin"));
  if (hasBinlog && of("binlog_format").toUpperCase() === "STATEMENT") {
    throw new WrongServer("binlog_format is STATEMENT, which READ COMMITTED does not work with; set it to ROW");
  }
  const isSynced = of("innodb_flush_log_at_trx_commit") === "1" && (!hasBinlog || of("sync_binlog") === "1");
  // Among the servers of one replication the server id is unique, or replication would not work; a copy of a server
  // elsewhere has another host, port or uuid. MariaDB has no uuid, and a copy of the server id in each session.
  const uuid = values.has("server_uuid") ? ", @@global.server_uuid" : "";
  return {
    version,
    maxPacketBytes,
    durability: isSynced ? "SYNCED" : "STORED",
    identity: `CONCAT_WS('/', @@global.hostname, @@global.port, @@global.server_id${uuid})`,
    hasTransactionTimeout: values.has("idle_transaction_timeout"),
  };
}

/**
 * A cluster in which every server takes writes: a log's row is locked on one of them only, what the others store at the same
 * time is found out at the commit, and a life of one server says nothing of the others. Undefined: it is in none.
 */
function writableCluster(of: Settings): string | undefined {
  const hasProvider = of("wsrep_provider") !== "" && of("wsrep_provider").toLowerCase() !== "none";
  if (isOn(of("wsrep_on")) && hasProvider) return "the servers of a Galera cluster (wsrep_on is ON)";
  const isGroup = of("group_replication_group_name") !== "";
  if (!isGroup || of("group_replication_single_primary_mode").toUpperCase() !== "OFF") return undefined;
  return "the primaries of a group (group_replication_single_primary_mode is OFF; ON is fine)";
}

export function readOnlyServer(): BusError {
  return new BusError("STORAGE_UNAVAILABLE", "the server is read-only: it is a replica, or being taken out of service");
}

function isOn(value: string): boolean {
  return value !== "" && value !== "OFF" && value !== "0";
}

function readVersion(version: string): string {
  // Old MariaDB puts 5.5.5- in front for the sake of old replicas.
  const match = /^(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)/.exec(version);
  const isMariaDb = /mariadb/i.test(version);
  const name = isMariaDb ? "MariaDB" : "MySQL";
  const wanted = isMariaDb ? MIN_MARIADB : MIN_MYSQL;
  const found = match === null ? [0, 0, 0] : match.slice(1).map(Number);
  const differs = wanted.findIndex((part, i) => part !== found[i]);
  if (differs >= 0 && found[differs]! < wanted[differs]!) {
    throw new WrongServer(`${name} ${version} is too old; MySQL 8.0.1 or MariaDB 10.6 is the oldest that works`);
  }
  return `${name} ${found.join(".")}`;
}
