import { BusError } from "../../core/errors.ts";
import { DURABILITIES, type Durability } from "../../core/room.ts";
import type { MessageLog } from "../../storage/message-log.ts";
import type { StorageCapabilities } from "../../storage/storage-adapter.ts";

/** The logs of the bus: one that forgets, and one that does not where the storage has it. */
export interface Logs {
  /** For VOLATILE channels, on every kind of storage. */
  readonly volatile: MessageLog;
  /** For all others; undefined: the storage keeps nothing. */
  readonly durable?: MessageLog;
  readonly capabilities: StorageCapabilities;
}

/**
 * What a channel gets that asks for nothing. The configured default is a minimum: a storage that keeps what it is given
 * is not used to forget unless a room or a channel says so.
 */
export function defaultDurability(configured: Durability, capabilities: StorageCapabilities): Durability {
  return configured === "VOLATILE" && reaches(capabilities, "STORED") ? "STORED" : configured;
}

/** Throws DURABILITY_UNAVAILABLE for what the storage cannot reach. */
export function checkDurability(durability: Durability, { capabilities }: Logs): void {
  if (reaches(capabilities, durability)) return;
  throw new BusError(
    "DURABILITY_UNAVAILABLE",
    `durability ${durability} is beyond this storage, which reaches ${capabilities.durability}`,
  );
}

/**
 * The log of a channel that has this durability. Not every level must be reached still: a server may have been set to less
 * since the channel was made, and publishes are answered with what they reach. Throws DURABILITY_UNAVAILABLE where nothing
 * durable is kept.
 */
export function logFor(durability: Durability, logs: Logs): MessageLog {
  if (durability === "VOLATILE") return logs.volatile;
  if (logs.durable === undefined) throw new BusError("DURABILITY_UNAVAILABLE", "this storage has no durable log");
  return logs.durable;
}

function reaches(capabilities: StorageCapabilities, durability: Durability): boolean {
  return DURABILITIES.indexOf(durability) <= DURABILITIES.indexOf(capabilities.durability);
}
