const DURATION_UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

const SIZE_UNITS = [
  ["TiB", 1_099_511_627_776],
  ["GiB", 1_073_741_824],
  ["MiB", 1_048_576],
  ["KiB", 1_024],
  ["B", 1],
] as const;

type Units = readonly (readonly [unit: string, factor: number])[];

const QUANTITY = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/;

/** Milliseconds of "500ms", "15s", "2m", "1h", "7d"; a number without a unit is milliseconds. Undefined: not one. */
export function parseDuration(value: number | string): number | undefined {
  return parse(value, DURATION_UNITS);
}

/** Bytes of "512KiB", "1MiB", "2GiB", "1TiB"; a number without a unit is bytes. Undefined: not one. */
export function parseSize(value: number | string): number | undefined {
  return parse(value, SIZE_UNITS);
}

/** The shortest exact way to write it: 90_000 is "90s", 120_000 is "2m". */
export function formatDuration(ms: number): string {
  return format(ms, DURATION_UNITS);
}

/** The shortest exact way to write it: 1_048_576 is "1MiB", 1_500 is "1500B". */
export function formatSize(bytes: number): string {
  return format(bytes, SIZE_UNITS);
}

function parse(value: number | string, units: Units): number | undefined {
  const match = QUANTITY.exec(String(value));
  if (match === null) return undefined;
  const unit = match[2] as string;
  const factor = unit === "" ? 1 : units.find(([name]) => name === unit)?.[1];
  if (factor === undefined) return undefined;
  const result = Number(match[1]) * factor;
  return Number.isSafeInteger(result) ? result : undefined;
}

function format(value: number, units: Units): string {
  const [unit, factor] = units.find(([, factor]) => value !== 0 && value % factor === 0) ?? (units.at(-1) as Units[0]);
  return `${value / factor}${unit}`;
}
