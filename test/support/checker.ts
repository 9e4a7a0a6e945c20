import { checkLog } from "./check-log.ts";
import { checkStreams } from "./check-streams.ts";
import type { HistoryEvent } from "./history.ts";
import { indexHistory } from "./history-index.ts";

/** What a history can do wrong. */
export const RULES = {
  ACKED_LOST: "An acknowledged message is not in the log any more, though nothing trimmed it.",
  ACK_MOVED: "Two acknowledgements of one message name two positions, or two messages are said to be new.",
  STORED_TWICE: "One message has two places in the log.",
  SEQUENCE_REUSED: "One sequence of one epoch holds two different messages: a log that lost its end kept its epoch.",
  CONFLICT_ACCEPTED: "The same id with other content was acknowledged.",
  PHANTOM: "A message appeared that nobody sent, or that was refused.",
  BYTES_CHANGED: "A message arrived with other bytes than were sent.",
  PRODUCER_ORDER: "Two messages of one producer are stored in another order than they were sent.",
  LOG_HOLE: "A sequence between floor and head holds nothing.",
  EPOCH_RETURNED: "An epoch is seen again behind another one.",
  TIME_REVERSED: "A message was accepted before the one in front of it.",
  LEAKED: "An agent read a message that was not for it.",
  UNWANTED: "A stream brought its reader's own messages, or what its filter excludes.",
  STREAM_ORDER: "A stream went back within a channel.",
  STREAM_DUPLICATE: "A stream brought a message twice.",
  RESUME_REPEATED: "A resumed stream brought what lies before the position it resumed from.",
  RESUME_AHEAD: "A reader resumed from further on than it was ever told.",
  MISSED: "A stream went past a message that its reader may see, and told no Gap.",
  LOSS_UNTOLD: "A stream went on in a log that had lost what the stream brought before, and told no Gap.",
  GAP_FALSE: "A Gap was told about messages that are there, or that the stream had brought before.",
  UNDELIVERED: "The faults are over, and a reader still lacks a message.",
} as const;

export type Rule = keyof typeof RULES;

export interface Violation {
  readonly rule: Rule;
  /** Which message, where, seen by whom. */
  readonly text: string;
}

export interface CheckOptions {
  /** Channels that may lose acknowledged messages when the server dies, under a new epoch. Default: none. */
  readonly volatileChannels?: readonly string[];
}

/** What was there to be judged. A test asserts these: a history that is empty is right, and proves nothing. */
export interface Checked {
  readonly messages: number;
  readonly acked: number;
  /** Acknowledged messages that were looked for in a final log, and how many could not be. */
  readonly ackedLookedFor: number;
  readonly ackedNotLookedFor: number;
  readonly deliveries: number;
  readonly gaps: number;
  readonly streams: number;
  readonly resumes: number;
  readonly finalLogs: number;
}

export interface Verdict {
  readonly violations: readonly Violation[];
  readonly checked: Checked;
}

/** Judges a history by the promises of the bus. Pure: the same history, the same verdict. */
export function checkHistory(events: readonly HistoryEvent[], options: CheckOptions = {}): Verdict {
  const index = indexHistory(events);
  const log = checkLog(index, new Set(options.volatileChannels));
  const streams = checkStreams(index);
  const acked = [...index.publications.values()].filter((publication) => publication.acks.length > 0).length;
  return {
    violations: [...log.violations, ...streams.violations],
    checked: {
      messages: index.publications.size,
      acked,
      ackedLookedFor: log.lookedFor,
      ackedNotLookedFor: acked - log.lookedFor,
      deliveries: streams.deliveries,
      gaps: streams.gaps,
      streams: index.streams.length,
      resumes: index.streams.filter((stream) => typeof stream.opened.start !== "string").length,
      finalLogs: index.finals.size,
    },
  };
}

const SHOWN = 20;

/** Throws with the first violations, each with its rule, when there are any; answers what was judged. */
export function assertHistory(events: readonly HistoryEvent[], options: CheckOptions = {}): Checked {
  const { violations, checked } = checkHistory(events, options);
  if (violations.length === 0) return checked;
  const lines = violations.slice(0, SHOWN).map(({ rule, text }) => `  ${rule}: ${text}`);
  const rest = violations.length > SHOWN ? `\n  … and ${violations.length - SHOWN} more` : "";
  throw new Error(`the history breaks ${violations.length} promises:\n${lines.join("\n")}${rest}`);
}
