import { EndReason, GapCause, type SubscribeResponse } from "../../gen/agentbus/v1/bus_service_pb.ts";
import type { SubscribeInput } from "../../src/bus/reading/subscriptions.ts";
import type { Filter } from "../../src/core/filter.ts";
import { NO_FILTER, subscribeInput } from "../support/bus-fixture.ts";
import { digestOf, type Gapped, type History, type Place, parsePlace, showPlace } from "../support/history.ts";
import { type Connection, ConnectionLost, type StreamEnd } from "./connection.ts";
import { outcomeOf } from "./outcome.ts";
import type { World } from "./world.ts";

export interface ReaderOptions {
  readonly agent: string;
  readonly reader: string;
  readonly channels?: readonly string[];
  readonly patterns?: readonly string[];
  readonly start: "earliest" | "new";
  /** Only messages of this name. */
  readonly only?: string;
  readonly echo?: boolean;
  readonly exclusive?: string;
  readonly observe?: boolean;
  /** As in the history. */
  readonly isPartial?: boolean;
  /** Thinks so long about one response, at most. */
  readonly thinksMs?: number;
  /** Goes away in good order, or without a word, after so long, and comes back; not when all is calm. */
  readonly staysMs?: number;
}

const CAUSES: Readonly<Record<number, Gapped["cause"]>> = {
  [GapCause.RETENTION]: "RETENTION",
  [GapCause.NEW_EPOCH]: "NEW_EPOCH",
  [GapCause.DAMAGED]: "DAMAGED",
  [GapCause.LOST]: "LOST",
};
const MAX_WAIT_MS = 500;

/** A client that reads, and resumes on any node from the positions it was told. */
export class Reader {
  readonly options: ReaderOptions;
  /** The newest position of each channel. */
  readonly places = new Map<string, Place>();
  /** Its stream is open, as far as it knows. */
  isOpen = false;
  /** Another stream took its name: it does not come back. */
  isTakenOver = false;
  readonly #world: World;
  readonly #history: History;
  #isStopped = false;
  #leave: ((graceful: boolean) => void) | undefined;
  #ended: ((cause: StreamEnd) => void) | undefined;

  /** `history`: where it writes down what it saw. Default: the world's. */
  constructor(world: World, options: ReaderOptions, history: History = world.history) {
    this.#world = world;
    this.#history = history;
    this.options = options;
  }

  get name(): string {
    return this.options.reader;
  }

  /** Until it is stopped, or its name is taken over. */
  async run(): Promise<void> {
    const world = this.#world;
    while (!this.#isStopped && !this.isTakenOver) {
      const connection = world.connect();
      if (connection !== undefined) {
        const cause = await this.#readOver(connection);
        if (connection !== undefined) world.release(connection);
        // What may never happen throws here.
        if (cause !== undefined && !isGapError(cause)) outcomeOf(cause);
      }
      if (!this.#isStopped) await world.sleep(world.dice.between(1, MAX_WAIT_MS));
    }
  }

  /** Goes away for good. */
  stop(graceful: boolean): void {
    this.#isStopped = true;
    this.leave(graceful);
  }

  /** Ends the stream that is open. */
  leave(graceful: boolean): void {
    this.#leave?.(graceful);
    this.#ended?.(graceful ? undefined : new ConnectionLost("left"));
  }

  #readOver(connection: Connection): Promise<StreamEnd> {
    const { scheduler, dice } = this.#world;
    const history = this.#history;
    const { reader, agent, start, echo, only, isPartial, thinksMs = 0, staysMs } = this.options;
    const stream = history.name(reader);
    const resumes = this.places.size > 0;
    history.record({
      kind: "opened",
      stream,
      reader,
      agent,
      start: resumes ? [...this.places.values()] : start,
      ...(echo !== undefined && { echo }),
      ...(only !== undefined && { only }),
      ...(isPartial !== undefined && { isPartial }),
    });
    this.#world.note(reader, `opens ${stream} on ${connection.node.name}`);
    return new Promise((resolve) => {
      let stopLeaving = () => {};
      const ended = (cause: StreamEnd) => {
        if (this.#ended !== ended) return;
        this.#ended = undefined;
        this.#leave = undefined;
        this.isOpen = false;
        stopLeaving();
        history.record({ kind: "cut", stream });
        this.#world.note(reader, `${stream} ended: ${cause === undefined ? "on purpose" : cause.message}`);
        resolve(cause);
      };
      this.#ended = ended;
      this.#leave = connection.subscribe(this.#input(resumes), {
        response: (response) => {
          if (this.#ended === ended) this.#take(stream, response);
        },
        ended,
        thinksMs: () => (thinksMs === 0 ? 0 : dice.between(0, thinksMs)),
      });
      if (staysMs !== undefined) {
        stopLeaving = scheduler.after(dice.between(0, staysMs), undefined, () => {
          if (this.#world.isQuiet) return;
          if (dice.chance(0.5)) this.leave(true);
          else connection.cut();
        });
      }
    });
  }

  #input(resumes: boolean): SubscribeInput {
    const { agent, channels = [], patterns = [], start, only, echo, exclusive, observe } = this.options;
    const filter: Filter | undefined = only === undefined ? undefined : { ...NO_FILTER, names: [only] };
    return subscribeInput({
      agentId: agent,
      channels,
      patterns,
      start: resumes ? { kind: "resume", positions: [...this.places.values()].map(showPlace) } : { kind: start },
      filter,
      echo: echo === true,
      exclusive: exclusive ?? "",
      observe: observe === true,
    });
  }

  #take(stream: string, response: SubscribeResponse): void {
    const history = this.#history;
    if (response.opened !== undefined) this.isOpen = true;
    for (const { room, channel, firstSequence, lastSequence, cause } of response.gaps) {
      const range = { first: Number(firstSequence), last: Number(lastSequence) };
      history.record({ kind: "gap", stream, channel: `${room}:${channel}`, ...range, cause: CAUSES[cause]! });
    }
    for (const { room, channel, sequence, epoch, id, sender, payload } of response.messages) {
      const place = { channel: `${room}:${channel}`, epoch, sequence: Number(sequence) };
      const digest = digestOf(payload.case === undefined ? "" : payload.value);
      history.record({ kind: "delivered", stream, place, id, sender, digest });
    }
    const told = response.positions.map(parsePlace);
    if (told.length > 0) history.record({ kind: "positions", stream, places: told });
    for (const place of told) this.places.set(place.channel, place);
    if (response.end?.reason === EndReason.TAKEN_OVER) this.isTakenOver = true;
  }
}

function isGapError(cause: StreamEnd): boolean {
  return cause !== undefined && "reason" in cause && cause.reason === "GAP";
}
