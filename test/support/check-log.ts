import type { Violation } from "./checker.ts";
import { type Place, showPlace } from "./history.ts";
import {
  type FinalLog,
  type HistoryIndex,
  isFor,
  isRolledBack,
  type Publication,
  publicationKey,
  type Sighting,
} from "./history-index.ts";

export interface LogFindings {
  readonly violations: readonly Violation[];
  readonly lookedFor: number;
}

/** What holds for the stored log, whoever reads it: loss, doubles, order, bytes, epochs. */
export function checkLog(index: HistoryIndex, volatileChannels: ReadonlySet<string>): LogFindings {
  const violations: Violation[] = [];
  const report = (rule: Violation["rule"], text: string) => void violations.push({ rule, text });

  for (const { attempt, acked } of index.conflicts) {
    if (acked)
      report("CONFLICT_ACCEPTED", `${attempt.sender} sent other content as ${attempt.id} to ${attempt.channel}`);
  }
  checkSightings(index, report);
  checkAcks(index, report);
  checkOrder(index, report);
  let lookedFor = 0;
  for (const publication of index.publications.values()) {
    const looked = lookForAcked(index, publication, volatileChannels, report);
    if (looked) lookedFor++;
  }
  for (const final of index.finals.values()) checkFinal(index, final, report);
  return { violations, lookedFor };
}

type Report = (rule: Violation["rule"], text: string) => void;

function checkSightings(index: HistoryIndex, report: Report): void {
  const atPlace = new Map<string, Sighting>();
  for (const sighting of index.sightings) {
    const { place, id, sender, digest, by } = sighting;
    const where = showPlace(place);
    const publication = index.publications.get(publicationKey(place.channel, sender, id));
    if (publication === undefined) report("PHANTOM", `${by} shows ${id} of ${sender} at ${where}: nobody sent it`);
    else if (publication.failures === publication.attempts) {
      report("PHANTOM", `${by} shows ${id} of ${sender} at ${where}, though every attempt was refused`);
    } else if (publication.digest !== digest) {
      report("BYTES_CHANGED", `${by} shows ${id} of ${sender} at ${where} with other bytes`);
    }
    const first = atPlace.get(where);
    if (first === undefined) atPlace.set(where, sighting);
    else if (first.id !== id || first.sender !== sender) {
      report("SEQUENCE_REUSED", `${where} is ${first.id} by ${first.by} and ${id} by ${by}`);
    }
  }
}

function checkAcks(index: HistoryIndex, report: Report): void {
  for (const { id, acks, channel } of index.publications.values()) {
    const first = acks[0];
    if (first === undefined) continue;
    const standing = acks.filter((ack) => !isRolledBack(index, ack.place));
    const places = new Set(standing.map((ack) => showPlace(ack.place)));
    if (places.size > 1) report("ACK_MOVED", `${id} was acknowledged at ${[...places].join(" and ")}`);
    const fresh = standing.filter((ack) => !ack.duplicate);
    if (fresh.length > 1) report("ACK_MOVED", `${id} in ${channel} was said to be new ${fresh.length} times`);
  }
}

/** Where each message stands, without places that the log went back behind. */
function standingPlaces(index: HistoryIndex): Map<Publication, Place[]> {
  const places = new Map<Publication, Map<string, Place>>();
  for (const { place, id, sender } of index.sightings) {
    const publication = index.publications.get(publicationKey(place.channel, sender, id));
    if (publication === undefined || isRolledBack(index, place)) continue;
    const known = places.get(publication) ?? new Map<string, Place>();
    places.set(publication, known.set(showPlace(place), place));
  }
  return new Map([...places].map(([publication, known]) => [publication, [...known.values()]]));
}

function checkOrder(index: HistoryIndex, report: Report): void {
  const lines = new Map<string, { publication: Publication; sequence: number }[]>();
  for (const [publication, places] of standingPlaces(index)) {
    if (places.length > 1) report("STORED_TWICE", `${publication.id} is at ${places.map(showPlace).join(" and ")}`);
    if (!Number.isFinite(publication.order) || wasLost(index, publication)) continue;
    const line = `${publication.channel}\n${publication.producer}`;
    const sequence = Math.min(...places.map((place) => place.sequence));
    const members = lines.get(line) ?? [];
    members.push({ publication, sequence });
    lines.set(line, members);
  }
  for (const members of lines.values()) {
    members.sort((a, b) => a.publication.order - b.publication.order);
    for (let i = 1; i < members.length; i++) {
      const [before, after] = [members[i - 1]!, members[i]!];
      // Equal ones are SEQUENCE_REUSED.
      if (before.sequence <= after.sequence) continue;
      const { channel, producer, id } = before.publication;
      const text = `${producer} sent ${id} before ${after.publication.id} to ${channel}`;
      report("PRODUCER_ORDER", `${text}; stored at ${before.sequence} and ${after.sequence}`);
    }
  }
}

/**
 * It stood in its place, which the log lost, and one of its attempts had no answer: that one may be done behind the loss, or
 * be sent again there, when nothing knows its key any more.
 */
function wasLost({ lost }: HistoryIndex, { channel, id, acks, attempts, failures }: Publication): boolean {
  if (attempts <= acks.length + failures) return false;
  return lost.has(channel, id) || acks.some(({ place }) => lost.find(place) !== undefined);
}

/** Answers whether a final log could tell. */
function lookForAcked(
  index: HistoryIndex,
  publication: Publication,
  volatileChannels: ReadonlySet<string>,
  report: Report,
): boolean {
  const ack = publication.acks.at(-1);
  const final = index.finals.get(publication.channel);
  if (ack === undefined || final === undefined || index.lost.find(ack.place) !== undefined) return false;
  if (volatileChannels.has(final.channel) || publication.mayExpire) return false;
  if (![...final.agents].some((agent) => isFor(publication, agent, ack.place) === true)) return false;
  if (ack.place.sequence < final.floor) return true;
  const there = final.entries.get(ack.place.sequence);
  const where = `${publication.id}, acknowledged at ${showPlace(ack.place)}`;
  if (there === undefined)
    report("ACKED_LOST", `${where}, is not in the log (floor ${final.floor}, head ${final.head})`);
  else if (there.id !== publication.id || there.sender !== publication.sender || there.epoch !== ack.place.epoch) {
    const place = { channel: final.channel, epoch: there.epoch, sequence: there.sequence };
    report("ACKED_LOST", `${where}: the log has ${there.id} of ${there.sender} at ${showPlace(place)}`);
  }
  return true;
}

function checkFinal(index: HistoryIndex, final: FinalLog, report: Report): void {
  for (const fetched of final.fetches) {
    for (const entry of fetched.entries) {
      const publication = index.publications.get(publicationKey(final.channel, entry.sender, entry.id));
      const place = { channel: final.channel, epoch: entry.epoch, sequence: entry.sequence };
      if (publication !== undefined && isFor(publication, fetched.agent, place) === false) {
        report("LEAKED", `${fetched.agent} fetched ${entry.id} of ${entry.sender} from ${final.channel}`);
      }
    }
    const sequences = fetched.entries.map((entry) => entry.sequence);
    if (sequences.some((sequence, i) => i > 0 && sequence <= sequences[i - 1]!)) {
      report("STREAM_ORDER", `${fetched.agent}'s fetch of ${final.channel} is not in ascending order`);
    }
  }
  checkHoles(index, final, report);
  checkEpochsAndTimes(final, report);
}

/** Holes can be told only when the agents that fetched may see everything together, and nothing may expire. */
function checkHoles(index: HistoryIndex, final: FinalLog, report: Report): void {
  const agents = [...final.agents];
  for (const publication of index.publications.values()) {
    if (publication.channel !== final.channel) continue;
    if (publication.mayExpire || !agents.some((agent) => isFor(publication, agent) === true)) return;
  }
  const told = index.streams.flatMap((stream) =>
    stream.events.filter(
      (event) => event.kind === "gap" && event.channel === final.channel && event.cause === "DAMAGED",
    ),
  );
  for (let sequence = Math.max(final.floor, 1); sequence <= final.head; sequence++) {
    if (final.entries.has(sequence)) continue;
    if (told.some((gap) => gap.kind === "gap" && gap.first <= sequence && sequence <= gap.last)) continue;
    report("LOG_HOLE", `${final.channel} has nothing at ${sequence} (floor ${final.floor}, head ${final.head})`);
  }
}

function checkEpochsAndTimes(final: FinalLog, report: Report): void {
  const closed = new Set<number>();
  let epoch: number | undefined;
  let acceptedAtMs = Number.NEGATIVE_INFINITY;
  for (const entry of [...final.entries.values()].sort((a, b) => a.sequence - b.sequence)) {
    const place = showPlace({ channel: final.channel, ...entry });
    if (entry.epoch !== epoch) {
      if (epoch !== undefined) closed.add(epoch);
      epoch = entry.epoch;
      if (closed.has(epoch)) report("EPOCH_RETURNED", `${place} lies behind another epoch`);
    }
    if (entry.acceptedAtMs === undefined) continue;
    if (entry.acceptedAtMs < acceptedAtMs)
      report("TIME_REVERSED", `${place} was accepted before what is in front of it`);
    acceptedAtMs = entry.acceptedAtMs;
  }
}
