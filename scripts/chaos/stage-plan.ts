import type { Target } from "./workload.ts";

/** Where the clients of a run meet. Channel operations have a room of their own, so that patterns over this one stay as they are. */
export const ROOM = "chaos";
export const OPERATIONS_ROOM = "operations";
/** The VOLATILE channel. */
export const FLEETING = "fleeting";
/** The channel that is joined, and has private messages. */
export const MIXED = "mixed";
export const AGENTS = ["ann", "ben", "cid", "dot", "eve", "fay", "gus", "hal", "vic", "ivy"] as const;
/** Together they may see every message; the last one nothing that is private. */
export const WITNESSES = ["cid", "dot", "eve", "hal"] as const;
/** Says the last word in each channel. */
export const CLOSER = "zoe";
export const END_PREFIX = "end-";

const INBOXES = ["_inbox:cid", "_inbox:eve"] as const;
/** What the checker holds in memory at a time is one channel: about 10 KiB a message, with seven readers. */
const MESSAGES_OF_A_CHANNEL = 15_000;
const MAX_WIDE = 40;

export interface StagePlan {
  /** STORED, or SYNCED: "room:channel". */
  readonly stored: readonly string[];
  /** Those and the inboxes: what the checker judges. */
  readonly judged: readonly string[];
  /** Everything that is written to. */
  readonly all: readonly string[];
  /** Where producers send: for everyone. */
  readonly open: readonly Target[];
  /** For everyone, and also for some. */
  readonly mixed: readonly Target[];
}

export const keyOf = (channel: string) => `${ROOM}:${channel}`;

/** Long runs have more channels. */
export function planStage(messages: number): StagePlan {
  const wide = Math.min(MAX_WIDE, Math.max(1, Math.ceil(messages / MESSAGES_OF_A_CHANNEL) - 2));
  const channels = ["open", MIXED, ...Array.from({ length: wide }, (_, i) => `wide-${i + 1}`)];
  const stored = channels.map(keyOf);
  const open: readonly Target[] = channels.map((channel) => ({ room: ROOM, channel }));
  const mixed: readonly Target[] = [
    ...open,
    { room: ROOM, channel: MIXED, to: ["cid"] },
    { room: ROOM, channel: MIXED, to: ["dot", "eve"] },
    { room: "", channel: "", to: ["cid"] },
    { room: "", channel: "", to: ["eve"] },
  ];
  const judged = [...stored, ...INBOXES];
  return { stored, judged, all: [...judged, keyOf(FLEETING)], open, mixed };
}
