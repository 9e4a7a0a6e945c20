import { z } from "zod";
import { AGENT_ID_PATTERN, NAME_PATTERN } from "./patterns.ts";
import { parseDuration, parseSize } from "./units.ts";

/** What a field of the configuration says of itself beyond JSON Schema, for docs/configuration.md. */
export interface FieldMeta {
  /** What its values are written like. */
  readonly "x-unit"?: "duration" | "size";
  /** In words, both ends included. */
  readonly "x-range"?: string;
  /** The section that lists the same keys. */
  readonly "x-see"?: string;
}

/** Milliseconds, written "500ms", "15s", "2m", "1h", "7d" or as a number of milliseconds. Both ends are allowed. */
export function duration(min: string, max: string) {
  return quantity("duration", parseDuration, 'like "15s", "2m" or "500ms"', min, max);
}

/** Bytes, written "512KiB", "1MiB", "2GiB" or as a number of bytes. Both ends are allowed. */
export function size(min: string, max: string) {
  return quantity("size", parseSize, 'like "64KiB", "1MiB" or "2GiB"', min, max);
}

/** A whole number. Both ends are allowed. */
export function count(min: number, max: number) {
  return z.int().min(min).max(max);
}

/** A room or channel that a configuration may name. */
export function roomName() {
  return z.string().regex(NAME_PATTERN, "must be 1 to 128 of A-Z a-z 0-9 . _ - and not start with _");
}

export function agentId() {
  return z.string().regex(AGENT_ID_PATTERN, "must be 1 to 128 of A-Z a-z 0-9 . _ @ | : / + - and not start with _");
}

function quantity(
  unit: "duration" | "size",
  parse: (value: number | string) => number | undefined,
  example: string,
  min: string,
  max: string,
) {
  const meta: FieldMeta = { "x-unit": unit, "x-range": `${min} to ${max}` };
  const least = parse(min) as number;
  const most = parse(max) as number;
  return z
    .union([z.number(), z.string()])
    .transform((value, context) => {
      const result = parse(value);
      if (result !== undefined && result >= least && result <= most) return result;
      const message = result === undefined ? `must be a ${unit} ${example}` : `must be from ${min} to ${max}`;
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    })
    .meta({ ...meta });
}
