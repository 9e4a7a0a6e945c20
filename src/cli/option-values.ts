import { Argument, InvalidArgumentError, Option } from "commander";
import { parseDuration, parseSize } from "../config/units.ts";
import { BusError } from "../core/errors.ts";
import { parseChannelName } from "../core/names.ts";
import { parsePosition } from "../core/position.ts";

/** For options that may be given several times. */
export function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}

/** Collects "key=value" pairs. */
export function collectPair(
  value: string,
  earlier: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const equals = value.indexOf("=");
  if (equals <= 0) throw new InvalidArgumentError("Give it as key=value.");
  return { ...earlier, [value.slice(0, equals)]: value.slice(equals + 1) };
}

/** Whole numbers in a range. */
export function count(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };
}

/** "500ms", "15s", "2m", "1h", "7d"; a number alone is milliseconds. */
export function duration(value: string): number {
  const ms = parseDuration(value);
  if (ms === undefined) throw new InvalidArgumentError('Give a duration such as "500ms", "30s", "5m", "2h" or "7d".');
  return ms;
}

/** "64KiB", "1MiB", "2GiB"; a number alone is bytes. */
export function size(value: string): number {
  const bytes = parseSize(value);
  if (bytes === undefined) throw new InvalidArgumentError('Give a size such as "64KiB", "1MiB" or "2GiB".');
  return bytes;
}

/** An instant in ISO 8601, or a duration: so long ago. */
export function instant(value: string): Date {
  const ago = /[a-z]$/.test(value) ? parseDuration(value) : undefined;
  if (ago !== undefined) return new Date(Date.now() - ago);
  const date = /^\d{4}-/.test(value) ? new Date(value) : new Date(Number.NaN);
  if (!Number.isNaN(date.getTime())) return date;
  throw new InvalidArgumentError('Give an instant such as "2026-01-31T12:00:00Z", or how long ago, such as "15m".');
}

/** "http://host:port" or "https://host". */
export function url(value: string): string {
  if (/^https?:\/\/[^/]/.test(value) && URL.canParse(value)) return value;
  throw new InvalidArgumentError('Give a URL that starts with http:// or https://, such as "http://127.0.0.1:7400".');
}

/** The argument "<channel>", written room:channel. */
export function channelArgument(description = "room:channel"): Argument {
  return new Argument("<channel>", description).argParser(channel);
}

/** Checks "room:channel". */
export function channel(value: string): string {
  return checked(value, parseChannelName);
}

/** Positions, "room:channel@epoch.sequence"; for options that may be given several times. */
export function collectPosition(value: string, earlier?: readonly string[]): readonly string[] {
  return collect(checked(value, parsePosition), earlier);
}

function checked(value: string, parse: (value: string) => unknown): string {
  try {
    parse(value);
    return value;
  } catch (error) {
    if (error instanceof BusError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

/** An option that takes one of some words of the contract, in lower case. */
export function wordOption(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words.map((word) => word.toLowerCase()));
}

/** An option that may be given several times, and takes words of the contract, in lower case. */
export function wordsOption(flags: string, description: string, words: readonly string[]): Option {
  const allowed = words.map((word) => word.toLowerCase());
  return new Option(flags, `${description} (choices: ${allowed.join(", ")}; may be repeated)`).argParser(
    (value, earlier: readonly string[] | undefined) => {
      if (!allowed.includes(value)) throw new InvalidArgumentError(`Allowed choices are ${allowed.join(", ")}.`);
      return collect(value, earlier);
    },
  );
}

/** An option that may be given several times. */
export function repeated(flags: string, description: string): Option {
  return new Option(flags, `${description} (may be repeated)`).argParser(collect);
}

/** An option that takes key=value and may be given several times. */
export function pairs(flags: string, description: string): Option {
  return new Option(flags, `${description} (may be repeated)`).argParser(collectPair);
}

/** An option whose value is read by a function. */
export function read<T>(flags: string, description: string, parse: (value: string) => T): Option {
  return new Option(flags, description).argParser(parse);
}

/** The entries that are not undefined: options that were not given stay out. */
export function given<T extends object>(values: { readonly [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
