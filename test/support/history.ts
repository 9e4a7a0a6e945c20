import { createHash } from "node:crypto";

/**
 * What happened in a test, as its clients saw it: what they tried, what they were answered, what they read. Written down
 * by the clients while the test runs, judged by `checkHistory` when it is over. Plain data, so that a failed run can be
 * kept as a file. Nothing here knows the server's code.
 */

/** One place in a channel's log. */
export interface Place {
  /** "room:channel" */
  readonly channel: string;
  readonly epoch: number;
  readonly sequence: number;
}

/** A client sends a message, for the first time or again. */
export interface Attempted {
  readonly kind: "attempted";
  /** Names this attempt; its outcome repeats it. */
  readonly attempt: string;
  /** One who sends one message after another and expects their order to be kept. Several may act for one agent. */
  readonly producer: string;
  /** The agent that the server must name as the sender. */
  readonly sender: string;
  readonly channel: string;
  /** The same in every attempt to send the same message; unique for (channel, sender). */
  readonly id: string;
  readonly digest: string;
  /** Who may read it: null for everyone. Undefined: the ack will tell; until then nobody is accused of reading it. */
  readonly audience?: readonly string[] | null;
  /** For streams that filter: they want the messages of one label. */
  readonly label?: string;
  /** Its place in the producer's line, whatever was refused. Default: the order of sending, anew after a refusal. */
  readonly order?: number;
  /** It has a time to live: it may be missing without a Gap. */
  readonly mayExpire?: boolean;
}

export interface Acked {
  readonly kind: "acked";
  readonly attempt: string;
  readonly place: Place;
  readonly duplicate: boolean;
  readonly audience?: readonly string[] | null;
}

/** Refused: it was surely not stored by this attempt. */
export interface Failed {
  readonly kind: "failed";
  readonly attempt: string;
}

/** No answer, or one that leaves open whether it was stored. */
export interface Unknown {
  readonly kind: "unknown";
  readonly attempt: string;
}

/** A reader opens a stream. A reader may open several, one after another, and go on where it was. */
export interface Opened {
  readonly kind: "opened";
  readonly stream: string;
  readonly reader: string;
  readonly agent: string;
  /** What the stream asked for: from the first message, from now on, or after these positions. */
  readonly start: "earliest" | "new" | readonly Place[];
  /** The reader gets its own messages, too. Default: false. */
  readonly echo?: boolean;
  /** Only messages of this label are wanted. Default: all. */
  readonly only?: string;
  /** What it reads comes and goes: it owes nothing, and only what came is judged. Default: false. */
  readonly isPartial?: boolean;
}

export interface Delivered {
  readonly kind: "delivered";
  readonly stream: string;
  readonly place: Place;
  readonly id: string;
  readonly sender: string;
  readonly digest: string;
}

/** A response said where to resume. Recorded behind the messages and gaps of the same response. */
export interface Positions {
  readonly kind: "positions";
  readonly stream: string;
  readonly places: readonly Place[];
}

export interface Gapped {
  readonly kind: "gap";
  readonly stream: string;
  readonly channel: string;
  readonly first: number;
  /** 0: unknown how many. */
  readonly last: number;
  readonly cause: "RETENTION" | "NEW_EPOCH" | "DAMAGED" | "LOST";
}

/** The stream broke off, or ended on purpose: nothing more was read from it. */
export interface Cut {
  readonly kind: "cut";
  readonly stream: string;
}

/** The faults are over and the reader has had time: it must have everything. */
export interface Settled {
  readonly kind: "settled";
  readonly reader: string;
}

/** Whoever broke the storage on purpose says what that cost: a channel's log has these sequences of an epoch no more. */
export interface Lost {
  readonly kind: "lost";
  readonly channel: string;
  readonly epoch: number;
  readonly first: number;
  readonly last: number;
  /** The channel was deleted: nobody is told a Gap who read it until then. Default: false, the log lost its end. */
  readonly isDeleted?: boolean;
  /** Epochs that the log had had by then: who came to one of them did so before the loss. Default: none but `epoch`. */
  readonly epochs?: readonly number[];
  /** The messages that were there, where that is known. */
  readonly ids?: readonly string[];
}

export interface LogRecord {
  readonly epoch: number;
  readonly sequence: number;
  readonly id: string;
  readonly sender: string;
  readonly digest: string;
  readonly acceptedAtMs?: number;
}

/** The log as one agent reads it when all is over, from the oldest retained message to the head. */
export interface Fetched {
  readonly kind: "fetched";
  readonly agent: string;
  readonly channel: string;
  /** The oldest retained sequence, also when this agent may not see that message. */
  readonly floor: number;
  readonly head: number;
  readonly entries: readonly LogRecord[];
}

export type HistoryEvent =
  | Attempted
  | Acked
  | Failed
  | Unknown
  | Opened
  | Delivered
  | Positions
  | Gapped
  | Cut
  | Settled
  | Lost
  | Fetched;

export interface History {
  /** In the order in which they were written down. */
  readonly events: readonly HistoryEvent[];
  record(...events: readonly HistoryEvent[]): void;
  /** A name that this history did not give before: "stream-3". */
  name(what: string): string;
  /** One event a line, for a file beside a failed run. */
  toJsonLines(): string;
}

/** A campaign that writes down more than this should check in between. */
const MAX_EVENTS = 5_000_000;

export function createHistory(): History {
  const events: HistoryEvent[] = [];
  const names = new Map<string, number>();
  return {
    events,
    record(...more) {
      if (events.length + more.length > MAX_EVENTS) throw new RangeError(`a history holds ${MAX_EVENTS} events`);
      events.push(...more);
    },
    name(what) {
      const number = (names.get(what) ?? 0) + 1;
      names.set(what, number);
      return `${what}-${number}`;
    },
    toJsonLines: () => events.map((event) => `${JSON.stringify(event)}\n`).join(""),
  };
}

/** A short digest of a payload; equal bytes, equal digest. */
export function digestOf(payload: string | Uint8Array): string {
  return createHash("sha256").update(payload).digest("hex").slice(0, 24);
}

const POSITION = /^(.+)@([0-9a-f]{8})\.([0-9]+)$/;

/** Reads "room:channel@epoch.sequence". Written apart from the server's parser on purpose: it is judged here. */
export function parsePlace(position: string): Place {
  const match = POSITION.exec(position);
  if (match === null) throw new Error(`not a position: ${JSON.stringify(position)}`);
  return { channel: match[1]!, epoch: Number.parseInt(match[2]!, 16), sequence: Number(match[3]) };
}

export function showPlace({ channel, epoch, sequence }: Place): string {
  return `${channel}@${epoch.toString(16).padStart(8, "0")}.${sequence}`;
}
