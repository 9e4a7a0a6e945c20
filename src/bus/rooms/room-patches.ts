import { BusError } from "../../core/errors.ts";
import type { ChannelConfigPatch, ChannelRecord, RoomRecord } from "../../core/room.ts";
import type { RoutingRegistry } from "../../routing/routing-registry.ts";
import type { ChannelPatch, RoomPatch } from "../directory/registry.ts";
import { checkDurability, type Logs } from "./durability.ts";

type ConfigPatch = NonNullable<RoomPatch["defaults"]>;

/** The record with the patch applied. */
export function patchRoom(record: RoomRecord, patch: RoomPatch): RoomRecord {
  const { autoCreateChannels, ...rest } = record;
  const auto = patch.autoCreateChannels === undefined ? autoCreateChannels : (patch.autoCreateChannels ?? undefined);
  return {
    ...rest,
    description: patch.description ?? record.description,
    metadata: patch.metadata ?? record.metadata,
    defaults: patchConfig(record.defaults, patch.defaults ?? {}),
    ...(auto !== undefined && { autoCreateChannels: auto }),
  };
}

/** The record with the patch applied. Throws IMMUTABLE for another durability than the channel was created with. */
export function patchChannel(record: ChannelRecord, patch: ChannelPatch): ChannelRecord {
  const asked = patch.config?.durability;
  if (asked !== undefined && asked !== null && asked !== record.durability) {
    throw new BusError(
      "IMMUTABLE",
      `channel ${record.room}:${record.channel} is ${record.durability} since its creation; delete and create it again to have it ${asked}`,
    );
  }
  const { durability: _fixed, ...config } = patch.config ?? {};
  return {
    ...record,
    description: patch.description ?? record.description,
    metadata: patch.metadata ?? record.metadata,
    config: patchConfig(record.config, config),
  };
}

/** Throws UNKNOWN_STRATEGY, INVALID_FIELD, EMPTY_RECIPIENTS or DURABILITY_UNAVAILABLE for what could not work. */
export function checkConfig(config: ConfigPatch, routing: RoutingRegistry, logs: Logs): void {
  if (config.routing) routing.create(config.routing);
  if (config.durability) checkDurability(config.durability, logs);
}

function patchConfig(config: ChannelConfigPatch, patch: ConfigPatch): ChannelConfigPatch {
  const merged = { ...config, ...patch };
  // Null takes a part back to what the room or the server says.
  return Object.fromEntries(Object.entries(merged).filter(([, part]) => part !== null && part !== undefined));
}
