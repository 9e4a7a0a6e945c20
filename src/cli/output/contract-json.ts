import { type Duration, durationMs, type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { AGENT_KINDS, AGENT_STATES } from "../../core/agent.ts";
import { MESSAGE_TYPES } from "../../core/message.ts";
import { DURABILITIES, ROUTING_STRATEGIES } from "../../core/room.ts";

export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json };

// The contract numbers them in this order, from 1. A test compares.
const ENUMS: Readonly<Record<string, readonly string[]>> = {
  kind: AGENT_KINDS,
  kinds: AGENT_KINDS,
  state: AGENT_STATES,
  type: MESSAGE_TYPES,
  durability: DURABILITIES,
  strategy: ROUTING_STRATEGIES,
};

// The one field whose members stand in its place.
const ONEOF = "payload";

/**
 * A record of the contract as JSON, under the contract's names: enums as words in lower case, instants in ISO 8601,
 * durations in seconds ("15s"), bytes in base64. What is unset or empty is left out; numbers and booleans never are.
 */
export function contractJson(record: object): { readonly [key: string]: Json } {
  return Object.fromEntries(
    Object.entries(record).flatMap(([key, value]): [string, Json][] => {
      if (key.startsWith("$")) return [];
      if (key === ONEOF) return memberJson(value);
      const json = valueJson(key, value);
      return json === undefined ? [] : [[key, json]];
    }),
  );
}

/** An empty text is a text all the same: which member is set is what the sender said. */
function memberJson(oneof: { readonly case?: string; readonly value?: unknown }): [string, Json][] {
  return oneof.case === undefined ? [] : [[oneof.case, valueJson(oneof.case, oneof.value) ?? ""]];
}

function valueJson(key: string, value: unknown): Json | undefined {
  if (typeof value === "number") return isUnsetEnum(key, value) ? undefined : (enumName(key, value) ?? value);
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "boolean") return value;
  if (typeof value === "string") return value === "" ? undefined : value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => valueJson(key, item) ?? "");
  return typeof value === "object" && value !== null ? objectJson(value) : undefined;
}

function objectJson(value: object & { readonly $typeName?: string }): Json | undefined {
  if (value.$typeName === "google.protobuf.Timestamp") return timestampDate(value as Timestamp).toISOString();
  if (value.$typeName === "google.protobuf.Duration") return `${durationMs(value as Duration) / 1_000}s`;
  if (value.$typeName !== undefined) return contractJson(value);
  // A map; its keys are the user's words.
  const entries = Object.entries(value as Record<string, unknown>).map(([key, item]): [string, Json] => [
    key,
    typeof item === "bigint" ? Number(item) : String(item),
  ]);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function isUnsetEnum(field: string, value: number): boolean {
  return value === 0 && ENUMS[field] !== undefined;
}

/** The word for an enum's value in the field of this name; undefined: no enum, unset, or newer than this program. */
export function enumName(field: string, value: number): string | undefined {
  return ENUMS[field]?.[value - 1]?.toLowerCase();
}
