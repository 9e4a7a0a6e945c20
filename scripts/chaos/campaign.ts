import { AgentKind } from "../../gen/agentbus/v1/agent_pb.ts";
import { type BusProcess, startBus } from "../../test/support/bus-process.ts";
import { assertHistory, type Checked } from "../../test/support/checker.ts";
import { createHistory, type History, type Place, showPlace } from "../../test/support/history.ts";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import { waitUntil, within } from "../../test/support/wait.ts";
import { openClients, type WireClients } from "../../test/support/wire-clients.ts";
import { recordFinalLog } from "./final-logs.ts";
import { runStreamProducer, runUnaryProducer } from "./producer.ts";
import { Reader, type ReaderOptions } from "./reader.ts";
import { createWorkload, type Target } from "./workload.ts";

export interface CampaignOptions {
  /** As `agentbus serve --storage` takes it. */
  readonly storage: string;
  readonly kills: number;
  /** Decides what is published, and about when the server is killed; not how the processes are scheduled. */
  readonly seed: number;
  /** Done to what the server left, before it is started again for the first, second, ... time. */
  readonly whileDown?: (restart: number) => Promise<void>;
  /** What is done while it is down loses acknowledged messages: then they may be lost, but never silently. */
  readonly losesData?: boolean;
  /** Told after each kill. */
  readonly onKill?: (done: number, acked: number) => void;
  /** Gets the history before it is judged, for a file beside a failed run. */
  readonly onHistory?: (history: History) => void;
}

export interface CampaignReport extends Checked {
  readonly kills: number;
  /** Of those, while the server was still starting. */
  readonly killsAtStart: number;
  /** Messages sent whose answer never came, also because the server was away: each was sent again. */
  readonly attemptsWithoutAnswer: number;
  /** From the last of kills in a row until every client was served again, in milliseconds: the start of a process included. */
  readonly longestRecoveryMs: number;
  readonly medianRecoveryMs: number;
}

const ROOM = "chaos";
const CHANNELS = ["open", "mixed"];
const INBOXES = ["cid", "eve"];
const LOGS = [...CHANNELS.map((channel) => `${ROOM}:${channel}`), ...INBOXES.map((agent) => `_inbox:${agent}`)];
const AGENTS = ["ann", "ben", "cid", "dot", "eve"];
/** So many acknowledged messages lie between two kills at most: enough for a few group commits. */
const MAX_ACKS_BETWEEN = 400;
/** Then a moment more, so that kills fall anywhere between two acknowledgements. */
const MAX_MOMENT_MS = 15;
/** A server that starts is killed within this time of its start: all of the start-up on a slow machine. */
const MAX_START_MS = 700;
const SHARE_KILLED_AT_START = 0.15;
const SERVED_MS = 60_000;

/**
 * Publishers and readers at work while the server is killed with SIGKILL again and again and started on the same port.
 * Then quiet: every reader must have everything, the logs are read, and the history is judged. Throws when it breaks a
 * promise.
 */
export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const random = createSeededRandom(options.seed);
  const history = createHistory();
  const args = ["--storage", options.storage];
  let bus: BusProcess = await startBus({ args, comesBack: true });
  const { port, url } = bus;
  const over = new AbortController();
  try {
    using clients = openClients(url);
    await prepare(clients);
    const started = startClients(url, history, random, over.signal);
    const { producers, readers, stopProducers, stopReaders, failed, served } = started;

    const recoveries: number[] = [];
    let killsAtStart = 0;
    let restarts = 0;
    for (let kill = 1; kill <= options.kills; kill++) {
      const enough = served.acked + 1 + Math.floor(random() * MAX_ACKS_BETWEEN);
      await Promise.race([failed, until(() => served.acked >= enough, "acknowledgements between two kills")]);
      await moment(random() * MAX_MOMENT_MS);
      let killedAtMs = performance.now();
      await bus.kill();
      served.reset();
      while (kill < options.kills && random() < SHARE_KILLED_AT_START) {
        await killAtStart(args, port, random() * MAX_START_MS);
        killedAtMs = performance.now();
        killsAtStart++;
        kill++;
      }
      await options.whileDown?.(++restarts);
      bus = await startBus({ args, port });
      await Promise.race([
        failed,
        until(
          () => served.everyone(),
          () => `service for ${served.missing()}`,
        ),
      ]);
      recoveries.push(performance.now() - killedAtMs);
      options.onKill?.(kill, served.acked);
    }

    stopProducers.abort();
    await within(Promise.race([failed, Promise.all(producers)]), { timeoutMs: SERVED_MS, what: "producers to finish" });
    await settle(history, clients, readers, failed);
    stopReaders.abort();
    await Promise.all(readers.map(({ done }) => done));
    options.onHistory?.(history);
    recoveries.sort((a, b) => a - b);
    return {
      ...assertHistory(history.events, { volatileChannels: options.losesData === true ? LOGS : [] }),
      kills: options.kills,
      killsAtStart,
      attemptsWithoutAnswer: history.events.filter((event) => event.kind === "unknown").length,
      longestRecoveryMs: Math.round(recoveries.at(-1) ?? 0),
      medianRecoveryMs: Math.round(recoveries[recoveries.length >> 1] ?? 0),
    };
  } finally {
    over.abort();
    await bus.kill();
  }
}

async function prepare({ agents, rooms }: WireClients): Promise<void> {
  for (const agentId of AGENTS) await agents.registerAgent({ agent: { agentId, kind: AgentKind.AI_AGENT } });
  for (const channel of CHANNELS) {
    await rooms.createChannel({ channel: { room: ROOM, channel }, createRoom: true });
  }
  await rooms.joinChannel({ agentId: "cid", room: ROOM, channel: "mixed" });
}

/** Who was served since the last kill, and how much was acknowledged. */
class Served {
  acked = 0;
  readonly #names: readonly string[];
  #waiting: Set<string>;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#waiting = new Set(names);
  }

  reset(): void {
    this.#waiting = new Set(this.#names);
  }
  mark(name: string, acked = 0): void {
    this.acked += acked;
    this.#waiting.delete(name);
  }
  everyone(): boolean {
    return this.#waiting.size === 0;
  }
  missing(): string {
    return [...this.#waiting].join(", ");
  }
}

interface RunningReader {
  readonly reader: Reader;
  readonly name: string;
  readonly agent: string;
  readonly reads: readonly string[];
  readonly done: Promise<void>;
}

function startClients(url: string, history: History, random: () => number, abandon: AbortSignal) {
  const everywhere: Target[] = CHANNELS.map((channel) => ({ room: ROOM, channel }));
  const secret: Target[] = [
    { room: ROOM, channel: "mixed", to: ["cid"] },
    { room: ROOM, channel: "mixed", to: ["dot", "eve"] },
    { room: "", channel: "", to: ["cid"] },
    { room: "", channel: "", to: ["eve"] },
  ];
  const writers = [
    { name: "ann-stream", agent: "ann", run: runStreamProducer, targets: everywhere },
    { name: "ben-stream", agent: "ben", run: runStreamProducer, targets: [...everywhere, ...secret] },
    { name: "ben-unary", agent: "ben", run: runUnaryProducer, targets: [...everywhere, ...secret] },
    { name: "dot-unary", agent: "dot", run: runUnaryProducer, targets: [...everywhere, ...secret] },
  ] as const;
  const keys = CHANNELS.map((channel) => `${ROOM}:${channel}`);
  const listeners: (Pick<ReaderOptions, "request" | "wire" | "breakOffAfter"> & { agent: string; reads: string[] })[] =
    [
      { agent: "cid", request: { channels: keys }, reads: keys },
      { agent: "dot", request: { patterns: [`${ROOM}:*`] }, reads: keys, wire: { protocol: "connect" } },
      // Its inbox and what it joined.
      { agent: "cid", request: {}, reads: ["_inbox:cid", `${ROOM}:mixed`], wire: { protocol: "grpc-web" } },
      {
        agent: "eve",
        request: { channels: [...keys, "_inbox:eve"], maxMessages: 3 },
        reads: [...keys, "_inbox:eve"],
        breakOffAfter: () => 5 + Math.floor(random() * 200),
      },
    ];
  const names = [...writers.map(({ name }) => name), ...listeners.map(({ agent }, i) => `${agent}-reader-${i + 1}`)];
  const served = new Served(names);
  const stopProducers = new AbortController();
  const stopReaders = new AbortController();
  abandon.addEventListener("abort", () => stopReaders.abort(), { once: true });

  const producers = writers.map(({ name, agent, run, targets }, i) => {
    const writer = { agent, producer: name };
    const next = createWorkload(writer, targets, createSeededRandom(Math.floor(random() * 2 ** 32) + i));
    const onAck = (messages: number) => served.mark(name, messages);
    return run({ url: () => url, history, writer, next, stop: stopProducers.signal, abandon, onAck });
  });
  const readers: RunningReader[] = listeners.map(({ agent, reads, ...rest }, i) => {
    const name = `${agent}-reader-${i + 1}`;
    const onOpened = () => served.mark(name);
    const reader = new Reader({
      url: () => url,
      history,
      reader: name,
      agent,
      stop: stopReaders.signal,
      onOpened,
      ...rest,
    });
    return { reader, name, agent, reads, done: reader.run() };
  });
  // A client that gives up ends the campaign at once, not at its time limit.
  const failed = new Promise<never>((_, reject) => {
    for (const client of [...producers, ...readers.map(({ done }) => done)]) client.catch(reject);
  });
  failed.catch(() => {});
  return { producers, readers, stopProducers, stopReaders, failed, served };
}

async function killAtStart(args: readonly string[], port: number, afterMs: number): Promise<void> {
  const killer = new AbortController();
  const timer = setTimeout(() => killer.abort(), afterMs);
  try {
    const started = await startBus({ args, port, signal: killer.signal });
    await started.kill();
  } catch (error) {
    if (!killer.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Reads the final logs as everyone sees them, and waits until every reader is there. */
async function settle(
  history: History,
  clients: WireClients,
  readers: readonly RunningReader[],
  failed: Promise<never>,
): Promise<void> {
  const heads = new Map<string, Place>();
  for (const channel of CHANNELS) {
    const key = `${ROOM}:${channel}`;
    for (const agent of AGENTS) heads.set(key, await recordFinalLog(history, clients, agent, key));
  }
  for (const agent of INBOXES) {
    heads.set(`_inbox:${agent}`, await recordFinalLog(history, clients, agent, `_inbox:${agent}`));
  }
  for (const { reader, reads, name } of readers) {
    const isThere = (key: string) => {
      const [place, head] = [reader.places.get(key), heads.get(key)!];
      return place?.epoch === head.epoch && place.sequence >= head.sequence;
    };
    const behind = () => reads.filter((key) => !isThere(key));
    const what = () => {
      const lacks = behind().map((key) => `${showPlace(heads.get(key)!)} (is at ${reader.places.get(key)?.sequence})`);
      return `${name} to reach ${lacks.join()}`;
    };
    await Promise.race([failed, until(() => behind().length === 0, what)]);
    history.record({ kind: "settled", reader: name });
  }
}

function until(condition: () => boolean, what: string | (() => string)): Promise<unknown> {
  return waitUntil(condition, { timeoutMs: SERVED_MS, what });
}

function moment(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
