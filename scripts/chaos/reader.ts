import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { GapCause, type SubscribeRequestSchema, type SubscribeResponse } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { digestOf, type Gapped, type Place, parsePlace, showPlace } from "../../test/support/history.ts";
import { openClients, type WireOptions } from "../../test/support/wire-clients.ts";
import type { Recorder } from "./recorder.ts";
import { pauseBeforeRetry } from "./retry.ts";
import { outcomeOf } from "./wire-error.ts";

export interface ReaderOptions {
  /** Asked before each connection: where to go. */
  readonly url: () => string;
  readonly history: Recorder;
  readonly reader: string;
  readonly agent: string;
  /** What it reads; the start is the reader's own business. */
  readonly request: Pick<MessageInitShape<typeof SubscribeRequestSchema>, "channels" | "patterns" | "maxMessages">;
  /** Aborted: the reader leaves. */
  readonly stop: AbortSignal;
  readonly onOpened: () => void;
  /** Told of every message. `acceptedAtMs`: by the store's clock. */
  readonly onMessage?: (channel: string, id: string, acceptedAtMs: number) => void;
  /** Told when a stream that was open broke, and the reader did not break it off by itself. */
  readonly onCut?: () => void;
  /** After how many responses the reader breaks off by itself, anew for each stream. Unset: never. */
  readonly breakOffAfter?: () => number;
  readonly wire?: WireOptions;
}

/** How often the server shows that it is there, and after how long without a word a stream counts as cut. */
const HEARTBEAT_SECONDS = 1n;
const SILENT_MS = 3_000;
const CAUSES: Readonly<Record<number, Gapped["cause"]>> = {
  [GapCause.RETENTION]: "RETENTION",
  [GapCause.NEW_EPOCH]: "NEW_EPOCH",
  [GapCause.DAMAGED]: "DAMAGED",
};

/** Reads from the first message on, and resumes from where it was told after each cut. */
export class Reader {
  /** Where it stands in each channel. */
  readonly places = new Map<string, Place>();
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { stop } = this.#options;
    while (!stop.aborted) {
      try {
        await this.#readOneStream();
      } catch (error) {
        if (stop.aborted) return;
        outcomeOf(error);
        await pauseBeforeRetry();
      }
    }
  }

  async #readOneStream(): Promise<void> {
    const { history, reader, agent, request, stop, wire, breakOffAfter } = this.#options;
    using clients = openClients(this.#options.url(), wire);
    const stream = history.name(`${reader}-stream`);
    const places = [...this.places.values()];
    const start =
      places.length === 0
        ? ({ case: "earliest", value: true } as const)
        : ({ case: "resume", value: { positions: places.map(showPlace) } } as const);
    let left = breakOffAfter?.() ?? Number.POSITIVE_INFINITY;
    let opened = false;
    let leaves = false;
    const silent = new AbortController();
    const listen = () => setTimeout(() => silent.abort(new Error(`${stream}: silent for ${SILENT_MS} ms`)), SILENT_MS);
    let timer = listen();
    const signal = AbortSignal.any([stop, silent.signal]);
    const heartbeatInterval = { seconds: HEARTBEAT_SECONDS };
    try {
      const asked = { agentId: agent, ...request, start, heartbeatInterval };
      for await (const response of clients.bus.subscribe(asked, { signal })) {
        clearTimeout(timer);
        timer = listen();
        if (!opened) {
          history.record({ kind: "opened", stream, reader, agent, start: places.length === 0 ? "earliest" : places });
        }
        opened = true;
        this.#take(stream, response);
        if (response.opened !== undefined) this.#options.onOpened();
        // The node leaves: another one is asked from where this one was read to.
        if (--left <= 0 || response.goAway !== undefined) {
          leaves = true;
          return;
        }
      }
    } finally {
      clearTimeout(timer);
      if (opened) {
        history.record({ kind: "cut", stream });
        if (!leaves) this.#options.onCut?.();
      }
    }
  }

  #take(stream: string, { messages, gaps, positions, end }: SubscribeResponse): void {
    const { history, onMessage } = this.#options;
    if (end !== undefined) throw new Error(`${stream} was ended by the server: ${end.message}`);
    for (const { room, channel, epoch, sequence, id, sender, payload, acceptTime } of messages) {
      const place = { channel: `${room}:${channel}`, epoch, sequence: Number(sequence) };
      const digest = digestOf(payload.case === undefined ? "" : payload.value);
      history.record({ kind: "delivered", stream, place, id, sender, digest });
      onMessage?.(place.channel, id, acceptTime === undefined ? 0 : timestampMs(acceptTime));
    }
    for (const { room, channel, firstSequence, lastSequence, cause } of gaps) {
      const range = { first: Number(firstSequence), last: Number(lastSequence) };
      history.record({ kind: "gap", stream, channel: `${room}:${channel}`, ...range, cause: CAUSES[cause]! });
    }
    const told = positions.map(parsePlace);
    history.record({ kind: "positions", stream, places: told });
    for (const place of told) this.places.set(place.channel, place);
  }
}
