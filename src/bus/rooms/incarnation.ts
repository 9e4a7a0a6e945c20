import type { Random } from "../../core/clock.ts";

/** The first 48 bits of a UUIDv7: milliseconds since 1970. */
const TIME = /^([0-9a-f]{8})-([0-9a-f]{4})-7/;

/** Names a new log. Greater than `before`, the incarnation that is there, also when a clock that is ahead made that one. */
export function laterIncarnation(before: string | undefined, random: Random, nowMs: number): string {
  const incarnation = random.uuid(nowMs);
  if (before === undefined || incarnation > before) return incarnation;
  const time = TIME.exec(before);
  return random.uuid(time === null ? nowMs : Number.parseInt(time[1]! + time[2]!, 16) + 1);
}
