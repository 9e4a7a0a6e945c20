import {
  type Acked,
  type Attempted,
  type Cut,
  type Delivered,
  type Fetched,
  type Gapped,
  type HistoryEvent,
  type LogRecord,
  type Lost,
  type Opened,
  type Place,
  type Positions,
  showPlace,
} from "./history.ts";

/** One message as its sender knows it, over all attempts. */
export interface Publication {
  readonly channel: string;
  readonly id: string;
  readonly sender: string;
  readonly producer: string;
  readonly digest: string;
  readonly label: string | undefined;
  readonly mayExpire: boolean;
  /** Undefined: nobody was told. */
  audience: readonly string[] | null | undefined;
  /** The audience as acknowledged, by place: routed again after a loss, a message may be for others. */
  readonly audiences: Map<string, readonly string[] | null>;
  /** Its number, or when it was sent for the first time after it was last refused: from there on its place is owed. */
  order: number;
  readonly isNumbered: boolean;
  /** The sender left it to the channel's routing for whom it is. */
  readonly isRouted: boolean;
  readonly acks: Acked[];
  attempts: number;
  failures: number;
}

/** An attempt under a used id with other content: the only right outcome is a refusal. */
export interface Conflict {
  readonly attempt: Attempted;
  acked: boolean;
}

/** Somebody saw this message at this place. */
export interface Sighting {
  readonly place: Place;
  readonly id: string;
  readonly sender: string;
  readonly digest: string;
  readonly by: string;
}

export type StreamEvent = Delivered | Positions | Gapped | Cut;

export interface Stream {
  readonly opened: Opened;
  readonly events: StreamEvent[];
}

/** What the agents that fetched a channel know together. */
export interface FinalLog {
  readonly channel: string;
  readonly floor: number;
  readonly head: number;
  readonly agents: ReadonlySet<string>;
  readonly entries: ReadonlyMap<number, LogRecord>;
  readonly fetches: readonly Fetched[];
}

export interface HistoryIndex {
  readonly publications: ReadonlyMap<string, Publication>;
  readonly conflicts: readonly Conflict[];
  readonly sightings: readonly Sighting[];
  readonly streams: readonly Stream[];
  readonly finals: ReadonlyMap<string, FinalLog>;
  readonly settled: ReadonlySet<string>;
  readonly lost: LostPlaces;
}

/** What the storage is known to have lost. */
export class LostPlaces {
  readonly #byEpoch = new Map<string, Lost[]>();
  readonly #channels = new Set<string>();
  readonly #ids = new Set<string>();

  add(lost: Lost): void {
    const key = `${lost.channel}@${lost.epoch}`;
    this.#byEpoch.set(key, [...(this.#byEpoch.get(key) ?? []), lost]);
    this.#channels.add(lost.channel);
    for (const id of lost.ids ?? []) this.#ids.add(`${lost.channel}\n${id}`);
  }

  /** How the place was lost; undefined: not at all. */
  find({ channel, epoch, sequence }: Place): Lost | undefined {
    const ranges = this.#byEpoch.get(`${channel}@${epoch}`);
    return ranges?.find(({ first, last }) => first <= sequence && sequence <= last);
  }

  /** Whether the log of the channel lost an end at all. */
  hasAny(channel: string): boolean {
    return this.#channels.has(channel);
  }

  /** Whether a message of this name is known to have been lost in the channel. */
  has(channel: string, id: string): boolean {
    return this.#ids.has(`${channel}\n${id}`);
  }

  /** Whether the epoch belonged to a log that was deleted. */
  isDeleted(channel: string, epoch: number): boolean {
    return this.#byEpoch.get(`${channel}@${epoch}`)?.some(({ isDeleted }) => isDeleted === true) ?? false;
  }
}

export function publicationKey(channel: string, sender: string, id: string): string {
  return `${channel}\n${sender}\n${id}`;
}

/** Sorts a history by what it is about. Throws when the history itself is wrong: an outcome of no attempt, say. */
export function indexHistory(events: readonly HistoryEvent[]): HistoryIndex {
  const publications = new Map<string, Publication>();
  const attempts = new Map<string, Publication | Conflict>();
  const conflicts: Conflict[] = [];
  const sightings: Sighting[] = [];
  const streams = new Map<string, Stream>();
  const fetches: Fetched[] = [];
  const settled = new Set<string>();
  const lost = new LostPlaces();

  const publicationOf = (attempt: string) => {
    const known = attempts.get(attempt);
    if (known === undefined)
      throw new Error(`the history tells the outcome of ${attempt}, which it never saw attempted`);
    return known;
  };

  events.forEach((event, at) => {
    switch (event.kind) {
      case "attempted":
        attempts.set(event.attempt, addAttempt(publications, conflicts, event, at));
        break;
      case "acked": {
        const publication = publicationOf(event.attempt);
        if ("attempt" in publication) {
          publication.acked = true;
          break;
        }
        publication.acks.push(event);
        if (event.audience !== undefined) {
          publication.audience = event.audience;
          publication.audiences.set(showPlace(event.place), event.audience);
        }
        const { id, sender, digest } = publication;
        sightings.push({ place: event.place, id, sender, digest, by: `the ack of ${event.attempt}` });
        break;
      }
      case "failed": {
        const publication = publicationOf(event.attempt);
        if ("attempt" in publication) break;
        publication.failures++;
        if (!publication.isNumbered) publication.order = Number.POSITIVE_INFINITY;
        break;
      }
      case "unknown":
        publicationOf(event.attempt);
        break;
      case "opened":
        if (streams.has(event.stream)) throw new Error(`the history opens ${event.stream} twice`);
        streams.set(event.stream, { opened: event, events: [] });
        break;
      case "settled":
        settled.add(event.reader);
        break;
      case "lost":
        lost.add(event);
        break;
      case "fetched":
        fetches.push(event);
        for (const entry of event.entries) {
          const place = { channel: event.channel, epoch: entry.epoch, sequence: entry.sequence };
          sightings.push({ ...entry, place, by: `${event.agent}'s fetch` });
        }
        break;
      default: {
        const stream = streams.get(event.stream);
        if (stream === undefined) throw new Error(`the history reads from ${event.stream}, which it never saw opened`);
        stream.events.push(event);
        if (event.kind === "delivered") sightings.push({ ...event, by: event.stream });
      }
    }
  });
  const finals = gatherFinals(fetches);
  return { publications, conflicts, sightings, streams: [...streams.values()], finals, settled, lost };
}

function addAttempt(
  publications: Map<string, Publication>,
  conflicts: Conflict[],
  event: Attempted,
  at: number,
): Publication | Conflict {
  const key = publicationKey(event.channel, event.sender, event.id);
  const known = publications.get(key);
  if (known !== undefined && known.digest !== event.digest) {
    const conflict = { attempt: event, acked: false };
    conflicts.push(conflict);
    return conflict;
  }
  const { channel, id, sender, producer, digest, label, audience } = event;
  const mayExpire = event.mayExpire === true;
  const fresh = { channel, id, sender, producer, digest, label, mayExpire, audience, order: event.order ?? at };
  const publication = known ?? {
    ...fresh,
    isNumbered: event.order !== undefined,
    isRouted: audience === undefined,
    audiences: new Map(),
    acks: [],
    attempts: 0,
    failures: 0,
  };
  publication.attempts++;
  if (!publication.isNumbered) publication.order = Math.min(publication.order, at);
  publications.set(key, publication);
  return publication;
}

/** An agent that fetched twice counts by its last time. */
function gatherFinals(fetches: readonly Fetched[]): Map<string, FinalLog> {
  const byChannel = new Map<string, Map<string, Fetched>>();
  for (const fetched of fetches) {
    const ofChannel = byChannel.get(fetched.channel) ?? new Map<string, Fetched>();
    byChannel.set(fetched.channel, ofChannel.set(fetched.agent, fetched));
  }
  const finals = new Map<string, FinalLog>();
  for (const [channel, byAgent] of byChannel) {
    const last = [...byAgent.values()];
    const entries = new Map<number, LogRecord>();
    for (const fetched of last) for (const entry of fetched.entries) entries.set(entry.sequence, entry);
    const floor = Math.max(...last.map((fetched) => fetched.floor));
    const head = Math.max(...last.map((fetched) => fetched.head));
    finals.set(channel, { channel, floor, head, entries, agents: new Set(byAgent.keys()), fetches: last });
  }
  return finals;
}

/** Whether the agent may read it, at this place if one is given; undefined: nobody was told for whom it is. */
export function isFor(publication: Publication, agent: string, place?: Place): boolean | undefined {
  if (publication.sender === agent) return true;
  const told = place && publication.audiences.get(showPlace(place));
  const audience = told === undefined ? publication.audience : told;
  return audience === null ? true : audience?.includes(agent);
}

/** The log lost this place: at its sequence there is nothing any more, or a message of another epoch. */
export function isRolledBack(index: Pick<HistoryIndex, "finals" | "lost">, place: Place): boolean {
  if (index.lost.find(place) !== undefined) return true;
  const final = index.finals.get(place.channel);
  if (final === undefined) return false;
  if (place.sequence > final.head) return true;
  const there = final.entries.get(place.sequence);
  return there !== undefined && there.epoch !== place.epoch;
}
