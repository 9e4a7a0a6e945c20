import { BRIEF, CREW, DOOMED, OPEN, ROUTED } from "./administrator.ts";
import type { Target } from "./batches.ts";
import type { Dice } from "./dice.ts";
import type { ProducerOptions } from "./producer.ts";
import type { ReaderOptions } from "./reader.ts";
import { INHERITED } from "./room-changes.ts";

export const AGENTS = ["ann", "ben", "cid", "dot", "eve", "fay"] as const;
/** Channels that everybody may read. */
export const CHANNELS = [OPEN.key, ROUTED.key, DOOMED.key, INHERITED.key, BRIEF.key] as const;
/** Of these, what comes without `to` goes where the channel's routing says. */
export const ROUTED_CHANNELS: ReadonlySet<string> = new Set([ROUTED.key, INHERITED.key]);
export const INBOXES = ["cid", "eve"] as const;

const OPEN_TO_ALL: Target = { channel: OPEN.key };
const TARGETS: readonly Target[] = [
  OPEN_TO_ALL,
  OPEN_TO_ALL,
  { channel: ROUTED.key, isRouted: true },
  { channel: INHERITED.key, isRouted: true },
  { channel: DOOMED.key },
  { channel: BRIEF.key },
  { channel: OPEN.key, group: CREW },
  { channel: OPEN.key, to: ["cid"] },
  { channel: OPEN.key, to: ["dot", "eve"] },
  { to: ["cid"] },
  { to: ["eve"] },
];

export interface CastProducer extends ProducerOptions {
  /** Several batches under way, over a stream. */
  readonly streams: boolean;
}

/** Who publishes in this run. */
export function chooseProducers(dice: Dice, isOver: () => boolean): readonly CastProducer[] {
  return ["ann", "ben", "ann"].slice(0, 2 + dice.below(2)).map((agent, i) => ({
    agent,
    producer: `${agent}-${i + 1}`,
    targets: dice.chance(0.3) ? [dice.pick(TARGETS)] : TARGETS,
    pauseMs: dice.pick([150, 700, 3_000]),
    streams: dice.chance(0.4),
    isOver,
  }));
}

/** A reader, and which channels it must have come to the end of. */
export interface CastReader extends ReaderOptions {
  readonly reads: readonly string[];
}

/** Who reads in this run. */
export function chooseReaders(dice: Dice): readonly CastReader[] {
  const start = () => dice.pick(["earliest", "new"] as const);
  const thinksMs = () => dice.pick([0, 0, 0, 800]);
  const everyone: readonly CastReader[] = [
    {
      agent: "cid",
      reader: "cid-exact",
      channels: [OPEN.key],
      reads: [OPEN.key],
      start: start(),
      thinksMs: thinksMs(),
    },
    {
      agent: "dot",
      reader: "dot-pattern",
      patterns: ["sim:*", "hall:*"],
      reads: CHANNELS,
      start: start(),
      thinksMs: thinksMs(),
    },
    { agent: "eve", reader: "eve-inbox", reads: ["_inbox:eve"], start: "earliest" },
    {
      agent: "cid",
      reader: "cid-filter",
      channels: [OPEN.key, ROUTED.key],
      reads: [OPEN.key, ROUTED.key],
      start: start(),
      only: "red",
    },
    {
      agent: "ben",
      reader: "ben-echo",
      channels: [OPEN.key, DOOMED.key],
      reads: [OPEN.key, DOOMED.key],
      start: start(),
      echo: dice.chance(0.7),
    },
    {
      agent: "fay",
      reader: "fay-restless",
      channels: [OPEN.key, ROUTED.key, BRIEF.key],
      patterns: ["sim:doomed", "hall:*"],
      reads: CHANNELS,
      start: start(),
      staysMs: dice.pick([300, 3_000]),
    },
  ];
  const chosen = everyone.filter(() => dice.chance(0.6));
  return chosen.length > 0 ? chosen : everyone.slice(0, 2);
}

/** Streams that want the same exclusive name: one at a time may have it. */
export function chooseRivals(dice: Dice): readonly CastReader[] {
  if (dice.chance(0.5)) return [];
  return Array.from({ length: 2 + dice.below(2) }, (_, i) => ({
    agent: "gus",
    reader: `gus-rival-${i + 1}`,
    channels: [OPEN.key],
    reads: [],
    start: "new" as const,
    exclusive: "desk",
    // Some leave, with and without a word, and come back for it.
    ...(i > 0 && dice.chance(0.4) && { staysMs: 3_000 }),
  }));
}

/** Agents that come and go, for presence. */
export function chooseVisitors(dice: Dice): readonly CastReader[] {
  return ["val", "vic"].slice(0, dice.below(3)).map((agent) => ({
    agent,
    reader: `${agent}-visits`,
    reads: [],
    start: "new" as const,
    isPartial: true,
    staysMs: dice.pick([1_000, 6_000]),
  }));
}
