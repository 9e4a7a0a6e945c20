import { createReadStream, createWriteStream, mkdirSync, rmSync, type WriteStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import type { HistoryEvent, Opened } from "../../test/support/history.ts";
import type { Recorder, TimedAck } from "./recorder.ts";
import { OPERATIONS_ROOM } from "./stage-plan.ts";

/**
 * The history of a run on disk, one file a channel, so that a long one is judged in the memory that one channel takes:
 * every promise is about one channel. What is about several is written to each.
 */
export class ChannelHistories implements Recorder {
  readonly folder: string;
  readonly channels: readonly string[];
  readonly #files = new Map<string, WriteStream>();
  /** Attempts without an outcome, by name. */
  readonly #underWay = new Map<string, string>();
  readonly #names = new Map<string, number>();
  #closed = false;

  /** The folder is emptied first. */
  constructor(folder: string, channels: readonly string[]) {
    this.folder = folder;
    this.channels = channels;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const channel of channels) this.#files.set(channel, createWriteStream(this.pathOf(channel)));
  }

  pathOf(channel: string): string {
    return join(this.folder, `${channel.replace(":", ".")}.jsonl`);
  }

  name(what: string): string {
    const number = (this.#names.get(what) ?? 0) + 1;
    this.#names.set(what, number);
    return `${what}-${number}`;
  }

  record(...events: readonly (HistoryEvent | TimedAck)[]): void {
    for (const event of events) this.#route(event);
  }

  /** Takes over what another program wrote down, one event a line. Its names must not be those of this run. */
  async takeOver(file: string): Promise<void> {
    for await (const event of readEvents(file)) this.#route(event);
  }

  /** Everything is in the files when it resolves; what comes later is dropped. Closing twice is OK. */
  async close(): Promise<void> {
    for (const [attempt, channel] of this.#underWay) this.#write(channel, { kind: "unknown", attempt });
    this.#underWay.clear();
    this.#closed = true;
    for (const file of this.#files.values()) {
      if (file.closed) continue;
      file.end();
      await finished(file);
    }
  }

  /** The events of one channel, in the order in which they were written down. */
  async read(channel: string): Promise<HistoryEvent[]> {
    const events: HistoryEvent[] = [];
    for await (const event of readEvents(this.pathOf(channel))) events.push(event);
    return events;
  }

  #route(event: HistoryEvent): void {
    if (this.#closed) return;
    switch (event.kind) {
      case "attempted":
        this.#underWay.set(event.attempt, event.channel);
        this.#write(event.channel, event);
        break;
      case "acked":
      case "failed":
      case "unknown": {
        const channel = this.#underWay.get(event.attempt);
        if (channel === undefined) throw new Error(`${event.attempt} has an outcome, and is not under way`);
        this.#underWay.delete(event.attempt);
        this.#write(channel, event);
        break;
      }
      case "delivered":
        this.#write(event.place.channel, event);
        break;
      case "positions":
        for (const place of event.places) this.#write(place.channel, { ...event, places: [place] });
        break;
      case "opened":
        for (const channel of this.channels) this.#write(channel, ofChannel(event, channel));
        break;
      case "cut":
      case "settled":
        for (const channel of this.channels) this.#write(channel, event);
        break;
      default:
        this.#write(event.channel, event);
    }
  }

  #write(channel: string, event: HistoryEvent): void {
    // Readers of every room are told of channels that come and go; nobody writes to those.
    if (channel.startsWith(`${OPERATIONS_ROOM}:`) && event.kind === "gap") return;
    const file = this.#files.get(channel);
    if (file === undefined) throw new Error(`${channel} is no channel of this run: ${JSON.stringify(event)}`);
    file.write(`${JSON.stringify(event)}\n`);
  }
}

function ofChannel(opened: Opened, channel: string): Opened {
  const { start } = opened;
  return typeof start === "string" ? opened : { ...opened, start: start.filter((place) => place.channel === channel) };
}

async function* readEvents(file: string): AsyncGenerator<HistoryEvent> {
  for await (const line of createInterface({ input: createReadStream(file) })) {
    // A program that was killed leaves half a line at most.
    if (line.endsWith("}")) yield JSON.parse(line) as HistoryEvent;
  }
}
