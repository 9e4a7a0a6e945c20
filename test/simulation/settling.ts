import { fromBinary } from "@bufbuild/protobuf";
import { SubscribeResponseSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { channelKey } from "../../src/bus/directory/record-keys.ts";
import { parseChannelName } from "../../src/core/names.ts";
import { digestOf, type LogRecord, showPlace } from "../support/history.ts";
import { BRIEF, BRIEF_MESSAGES, DOOMED, insist } from "./administrator.ts";
import { AGENTS, type CastReader, CHANNELS, INBOXES, ROUTED_CHANNELS } from "./cast.ts";
import type { FaultKind } from "./faults.ts";
import { runProducer } from "./producer.ts";
import type { Reader } from "./reader.ts";
import type { Watcher } from "./watcher.ts";
import { LEASE_MS, type World } from "./world.ts";

export type Run = (what: string, isDone: () => boolean, limitMs: number) => Promise<boolean>;

/** When faults are over, everything that can be delivered is delivered within this time. */
const SETTLED_MS = 10_000;
/** Where a ring can be lost and nobody is told so, the bus finds out by looking at everything, which it does rarely. */
const POLLED_MS = 45_000;
const SILENT_LOSSES: readonly FaultKind[] = ["rings", "kills", "late-answers", "twins"];

/** One last message to every channel, then each log as every agent reads it. */
export async function recordFinalLogs(world: World): Promise<void> {
  finishDeletion(world);
  for (const channel of CHANNELS) await publishLast(world, { channel, isRouted: ROUTED_CHANNELS.has(channel) });
  for (const agent of INBOXES) await publishLast(world, { to: [agent] });
  // At once, and not when a node next looks after it: what is read now must be what there is to the end.
  world.backend.trim(BRIEF, { maxAgeMs: 0, maxBytes: 0, maxMessages: BRIEF_MESSAGES });
  for (const channel of CHANNELS) for (const agent of AGENTS) await recordFinalLog(world, agent, channel);
  for (const agent of INBOXES) await recordFinalLog(world, agent, `_inbox:${agent}`);
}

/**
 * A deletion that failed behind the removal of the record has left a log that is nobody's, and to which a node that has
 * not heard of it writes. What became of that is not judged.
 */
function finishDeletion({ backend }: World): void {
  const log = backend.log(DOOMED.key);
  if (log !== undefined && backend.directory.get(channelKey(DOOMED)) === undefined)
    backend.delete(DOOMED, log.incarnation);
}

async function publishLast(world: World, target: { channel?: string; to?: string[]; isRouted?: boolean }) {
  let isDone = false;
  const producer = `last-${target.channel ?? target.to![0]}`;
  const isOver = () => {
    const wasDone = isDone;
    isDone = true;
    return wasDone;
  };
  await runProducer(world, { agent: "ann", producer, targets: [target], pauseMs: 0, isOver });
}

async function recordFinalLog(world: World, agent: string, key: string): Promise<void> {
  const { room, channel } = parseChannelName(key);
  const entries: LogRecord[] = [];
  let position = "";
  for (let isCaughtUp = false; !isCaughtUp; ) {
    const start = position === "" ? ({ kind: "end" } as const) : ({ kind: "position", position } as const);
    const input = { agentId: agent, room, channel, backward: false, filter: undefined, maxMessages: 1_000, waitMs: 0 };
    const fetched = await insist(world, (bus) => bus.fetcher.fetch({ ...input, start }, new AbortController().signal));
    const { messages } = fromBinary(SubscribeResponseSchema, Buffer.concat(fetched.sealed));
    for (const { epoch, sequence, id, sender, payload, acceptTime } of messages) {
      const acceptedAtMs = Number(acceptTime!.seconds) * 1_000 + acceptTime!.nanos / 1e6;
      const digest = digestOf(payload.case === undefined ? "" : payload.value);
      entries.push({ epoch, sequence: Number(sequence), id, sender, digest, acceptedAtMs });
    }
    ({ position, caughtUp: isCaughtUp } = fetched);
  }
  const state = world.backend.log(key)!.state;
  world.history.record({ kind: "fetched", agent, channel: key, floor: state.floor, head: state.head, entries });
}

export interface Settling {
  readonly readers: readonly { readonly cast: CastReader; readonly reader: Reader }[];
  readonly rivals: readonly Reader[];
  readonly visitors: readonly Reader[];
  readonly watchers: readonly Watcher[];
}

/** Waits until everything is as it must be in the end, and says what is not. */
export async function settle(
  world: World,
  run: Run,
  kinds: readonly FaultKind[],
  { readers, rivals, visitors, watchers }: Settling,
): Promise<void> {
  const settledMs = SILENT_LOSSES.some((kind) => kinds.includes(kind)) ? POLLED_MS : SETTLED_MS;
  for (const { cast, reader } of readers) {
    const behind = () => cast.reads.filter((key) => !isAtEnd(world, reader, key));
    const isThere = await run(`${reader.name} at the end of its channels`, () => behind().length === 0, settledMs);
    if (isThere) world.history.record({ kind: "settled", reader: reader.name });
    else
      for (const key of behind()) world.violated(`${reader.name} is at ${where(reader, key)} of ${endOf(world, key)}`);
  }
  const holders = () => rivals.filter((rival) => rival.isOpen).length;
  // A request that waited in a paused node takes the name when that goes on, and its client is not there any more.
  const isDecided = () => holders() === 1 || rivals.every((rival) => rival.isTakenOver);
  if (!(await run("one holder of the exclusive name", isDecided, settledMs))) {
    world.violated(`${holders()} streams hold one exclusive name`);
  }
  const all = [...readers.map(({ reader }) => reader), ...rivals, ...visitors];
  const wrong = () => wrongPresence(world, all, watchers);
  if (!(await run("presence that is true", () => wrong().length === 0, LEASE_MS + settledMs))) {
    for (const text of wrong()) world.violated(text);
  }
}

function isAtEnd(world: World, reader: Reader, key: string): boolean {
  const place = reader.places.get(key);
  const log = world.backend.log(key)!;
  return place !== undefined && place.sequence === log.head && place.epoch === (log.entries.at(-1)?.epoch ?? log.epoch);
}

function where(reader: Reader, key: string): string {
  const place = reader.places.get(key);
  return place === undefined ? "no place" : showPlace(place);
}

function endOf(world: World, key: string): string {
  const log = world.backend.log(key)!;
  return showPlace({ channel: key, epoch: log.entries.at(-1)?.epoch ?? log.epoch, sequence: log.head });
}

/** Every node and every watcher must know who has a stream open, and who has none. */
function wrongPresence(world: World, readers: readonly Reader[], watchers: readonly Watcher[]): readonly string[] {
  const here = new Set<string>();
  const gone = new Set(readers.map(({ options }) => options.agent));
  for (const { isOpen, options } of readers) {
    if (!isOpen || options.observe === true) continue;
    here.add(options.agent);
    gone.delete(options.agent);
  }
  const wrong: string[] = [];
  const judge = (who: string, isHere: (agent: string) => boolean) => {
    for (const agent of here) if (!isHere(agent)) wrong.push(`${who} says that ${agent} is not here, who is`);
    for (const agent of gone) if (isHere(agent)) wrong.push(`${who} says that ${agent} is here, who is gone`);
  };
  for (const { bus, name } of world.nodes) judge(name, (agent) => bus?.agents.state(agent) === "ONLINE");
  for (const { here: told, name } of watchers) judge(name, (agent) => told.has(agent));
  return wrong;
}
