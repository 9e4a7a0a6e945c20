import { type Checked, checkHistory, type Rule, type Violation } from "../../test/support/checker.ts";
import type { HistoryEvent, Lost, Place } from "../../test/support/history.ts";
import type { ChannelHistories } from "./channel-histories.ts";
import { checkFleeting } from "./check-fleeting.ts";
import type { LossWindow } from "./power-cut.ts";
import type { TimedAck } from "./recorder.ts";
import { FLEETING, keyOf, type StagePlan } from "./stage-plan.ts";

export interface Judgement {
  readonly violations: readonly Violation[];
  readonly checked: Checked;
  /** Messages whose loss a fault explains and the bus told, by a Gap and a new epoch. */
  readonly lostAndTold: number;
  readonly fleeting: { readonly acked: number; readonly deliveries: number; readonly gaps: number };
}

/** Judges one channel after the other. `windows`: times in which an acknowledged message may be lost, if that is told. */
export async function judge(
  history: ChannelHistories,
  plan: StagePlan,
  windows: readonly LossWindow[],
): Promise<Judgement> {
  const violations: Violation[] = [];
  let checked: Checked | undefined;
  let lostAndTold = 0;
  for (const channel of plan.judged) {
    const events = await history.read(channel);
    const losses = windows.length === 0 ? { events: [], acked: 0 } : explainedLosses(channel, events, windows);
    lostAndTold += losses.acked;
    const verdict = checkHistory([...events, ...losses.events]);
    for (const violation of verdict.violations) violations.push(violation);
    checked = add(checked, verdict.checked);
  }
  const fleeting = checkFleeting(await history.read(keyOf(FLEETING)));
  for (const { rule, text } of fleeting.violations) violations.push({ rule, text: `VOLATILE: ${text}` });
  const { acked, deliveries, gaps } = fleeting;
  return { violations, checked: checked!, lostAndTold, fleeting: { acked, deliveries, gaps } };
}

/** Counts of several channels; streams read all of them. */
function add(a: Checked | undefined, b: Checked): Checked {
  if (a === undefined) return b;
  return {
    messages: a.messages + b.messages,
    acked: a.acked + b.acked,
    ackedLookedFor: a.ackedLookedFor + b.ackedLookedFor,
    ackedNotLookedFor: a.ackedNotLookedFor + b.ackedNotLookedFor,
    deliveries: a.deliveries + b.deliveries,
    gaps: a.gaps + b.gaps,
    streams: Math.max(a.streams, b.streams),
    resumes: Math.max(a.resumes, b.resumes),
    finalLogs: a.finalLogs + b.finalLogs,
  };
}

/**
 * What the log lost at its end, epoch by epoch, if all that was acknowledged of it was acknowledged in one of the windows.
 * Else nothing is explained, and the checker calls it lost.
 */
export function explainedLosses(
  channel: string,
  events: readonly HistoryEvent[],
  windows: readonly LossWindow[],
): { readonly events: readonly Lost[]; readonly acked: number } {
  const kept = new Map<number, number>();
  for (const event of events) {
    if (event.kind !== "fetched") continue;
    for (const { epoch, sequence } of event.entries) kept.set(epoch, Math.max(sequence, kept.get(epoch) ?? 0));
  }
  const isLost = (place: Place) => place.sequence > (kept.get(place.epoch) ?? 0);
  const ranges = new Map<number, { first: number; last: number; acks: Set<string>; isExplained: boolean }>();
  const note = (place: Place) => {
    const range = ranges.get(place.epoch) ?? {
      first: (kept.get(place.epoch) ?? place.sequence - 1) + 1,
      last: 0,
      acks: new Set<string>(),
      isExplained: true,
    };
    range.first = Math.min(range.first, place.sequence);
    range.last = Math.max(range.last, place.sequence);
    ranges.set(place.epoch, range);
    return range;
  };
  for (const event of events) {
    if (event.kind === "delivered" && isLost(event.place)) note(event.place);
    if (event.kind === "positions") for (const place of event.places) if (isLost(place)) note(place);
    if (event.kind !== "acked" || !isLost(event.place)) continue;
    const range = note(event.place);
    range.acks.add(`${event.place.epoch}.${event.place.sequence}`);
    const { atMs } = event as TimedAck;
    if (!windows.some(({ fromMs, toMs }) => fromMs <= atMs && atMs <= toMs)) range.isExplained = false;
  }
  const explained = [...ranges].filter(([, range]) => range.isExplained);
  return {
    events: explained.map(([epoch, { first, last }]) => ({ kind: "lost", channel, epoch, first, last })),
    acked: explained.reduce((sum, [, { acks }]) => sum + acks.size, 0),
  };
}

const LOST: readonly Rule[] = ["ACKED_LOST", "MISSED", "UNDELIVERED", "LOG_HOLE", "LOSS_UNTOLD"];
const DOUBLED: readonly Rule[] = ["STORED_TWICE", "ACK_MOVED", "STREAM_DUPLICATE", "RESUME_REPEATED"];
const REORDERED: readonly Rule[] = ["PRODUCER_ORDER", "STREAM_ORDER", "TIME_REVERSED", "EPOCH_RETURNED"];

/** Broken promises in the four words of the summary, and the rest. */
export function countViolations(violations: readonly Violation[]) {
  const count = (rules: readonly Rule[]) => violations.filter(({ rule }) => rules.includes(rule)).length;
  const [lost, doubled, reordered, leaked] = [count(LOST), count(DOUBLED), count(REORDERED), count(["LEAKED"])];
  return { lost, doubled, reordered, leaked, otherwise: violations.length - lost - doubled - reordered - leaked };
}
