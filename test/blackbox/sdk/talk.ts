import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { assertHistory, type Checked, checkHistory } from "../../support/checker.ts";
import {
  createHistory,
  digestOf,
  type HistoryEvent,
  type LogRecord,
  parsePlace,
  showPlace,
} from "../../support/history.ts";
import { openTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { openClients, type WireClients } from "../../support/wire-clients.ts";
import type { Milestone, Part } from "../agents/talker.ts";
import { type Language, PYTHON, TYPESCRIPT, TYPESCRIPT_FETCH } from "./sdk-process.ts";

export interface TalkOptions {
  /** Of the nodes; the agents are on them in turn. */
  readonly ports: readonly number[];
  /** Decides when links are cut. */
  readonly seed: number;
  /** Called when about a third of what will be said is stored. */
  readonly onThird?: () => Promise<void>;
}

export interface TalkReport extends Checked {
  /** Connections of each agent: one more than it lost, at least. */
  readonly connections: readonly number[];
}

const CHANNEL = "talk:round-table";
const CAST: readonly (readonly [name: string, language: Language])[] = [
  ["ts-ann", TYPESCRIPT],
  ["py-ben", PYTHON],
  ["ts-cid", TYPESCRIPT],
  ["py-dot", PYTHON],
  ["web-eve", TYPESCRIPT_FETCH],
  ["py-fox", PYTHON],
];
const MESSAGES = 240;
const QUESTIONS = 40;
/** So that the talk lasts for several cuts of each link. */
const THINK_MS = 25;
/** More than what a connection says of itself when it opens. */
const ANSWER_BYTES = 200;
/** For everything that everyone says. The talk itself takes less than ten seconds. */
const TALK_MS = 150_000;

/**
 * Agents of both languages hold one talk, each over a link of its own that is cut again and again, by resets and by
 * FINs. Then quiet: every agent must have everything that was for it, the logs are read as each of them sees them, and
 * the history is judged. Throws when it breaks a promise of the bus.
 */
export async function runTalk({ ports, seed, onThird }: TalkOptions): Promise<TalkReport> {
  const history = createHistory();
  const talkers: Talker[] = [];
  try {
    for (const [i, [name, language]] of CAST.entries()) {
      const proxy = await openTcpProxy({ targetPort: ports[i % ports.length]!, seed: seed + i });
      const peers = CAST.map(([peer]) => peer).filter((peer) => peer !== name);
      const part = {
        agent: name,
        channel: CHANNEL,
        peers,
        messages: MESSAGES,
        questions: QUESTIONS,
        thinkMs: THINK_MS,
      };
      const url = `http://${proxy.host}:${proxy.port}`;
      talkers.push(await Talker.start(language, { ...part, url }, proxy, (event) => history.record(event)));
    }
    const broken = Promise.race(talkers.map((talker) => talker.broken));
    const all = (condition: (talker: Talker) => boolean, what: string) => {
      const late = () => `${talkers.filter((talker) => !condition(talker)).map(String)} to ${what}`;
      return Promise.race([broken, waitUntil(() => talkers.every(condition), { timeoutMs: TALK_MS, what: late })]);
    };

    await all((talker) => talker.milestone === "listening", "listen");
    const stops = talkers.map(({ proxy }) => proxy.cutEach(500, 3_000, "either", ANSWER_BYTES));
    for (const talker of talkers) talker.go();
    if (onThird !== undefined) {
      await all((talker) => talker.acked >= MESSAGES / 3, `have ${MESSAGES / 3} messages stored`);
      await onThird();
    }
    await all((talker) => talker.milestone === "finished", "finish");
    for (const stop of stops) stop();

    using clients = openClients(`http://127.0.0.1:${ports[0]}`);
    for (const talker of talkers) {
      const owed = new Set<string>();
      for (const key of [CHANNEL, `_inbox:${talker.name}`]) {
        const entries = await recordFinalLog((event) => history.record(event), clients, talker.name, key);
        for (const { sender, ...entry } of entries)
          if (sender !== talker.name) owed.add(showPlace({ channel: key, ...entry }));
      }
      const missing = () => [...owed].filter((place) => !talker.places.has(place));
      const what = () => `${talker} to read ${missing().length} of ${owed.size} messages: ${missing().slice(0, 5)}`;
      await Promise.race([broken, waitUntil(() => missing().length === 0, { what })]);
      history.record({ kind: "settled", reader: talker.name });
    }
    for (const talker of talkers) await talker.finish();
    const connections = talkers.map(({ proxy }) => proxy.accepted);
    return { ...assertHistory(history.events), connections };
  } catch (error) {
    // Who repeats or loses messages may never come to an end: what it did until now says why.
    const broken = checkHistory(history.events).violations.slice(0, 10);
    const promises = broken.map(({ rule, text }) => `\n  ${rule}: ${text}`).join("");
    throw new Error(`${error instanceof Error ? error.message : error}\nuntil then:${promises || " nothing broken"}`, {
      cause: error,
    });
  } finally {
    for (const talker of talkers) await talker.end();
  }
}

/** One agent in its process, behind its proxy. */
class Talker {
  readonly name: string;
  readonly proxy: TcpProxy;
  /** Where the messages stand that it read. */
  readonly places = new Set<string>();
  /** Rejects when the program ends before it is told to. */
  readonly broken: Promise<never>;
  milestone = "starting";
  acked = 0;
  #leaving = false;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;

  private constructor(name: string, proxy: TcpProxy, child: ChildProcess, record: (event: HistoryEvent) => void) {
    this.name = name;
    this.proxy = proxy;
    this.#child = child;
    this.#closed = once(child, "close");
    let errors = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-10_000);
    });
    child.stdin!.on("error", () => {}); // told by the exit
    this.broken = this.#closed.then((how) => {
      if (!this.#leaving) throw new Error(`${name} ended with ${how} when ${this.milestone}\n${errors}`);
      return new Promise<never>(() => {});
    });
    this.broken.catch(() => {});
    createInterface({ input: child.stdout! }).on("line", (line) => this.#take(JSON.parse(line), record));
  }

  static async start(language: Language, part: Part, proxy: TcpProxy, record: (event: HistoryEvent) => void) {
    const { line, env } = await language.command("talker");
    const [file, ...args] = line;
    const child = spawn(file!, args, { stdio: "pipe", env: { ...process.env, ...env } });
    const talker = new Talker(part.agent, proxy, child, record);
    talker.#child.stdin!.write(`${JSON.stringify(part)}\n`);
    return talker;
  }

  /** From now on it speaks. */
  go(): void {
    this.#child.stdin!.write("go\n");
  }

  /** It leaves in good order. */
  async finish(): Promise<void> {
    this.#leaving = true;
    this.#child.stdin!.end();
    const [code] = await within(this.#closed, { what: `${this} to end` });
    if (code !== 0) throw new Error(`${this} ended with ${code}`);
  }

  async end(): Promise<void> {
    this.#leaving = true;
    this.#child.kill("SIGKILL");
    await this.#closed;
    await this.proxy.close();
  }

  toString(): string {
    return `${this.name} (${this.milestone}, ${this.acked} stored, ${this.places.size} read)`;
  }

  #take(line: HistoryEvent | Milestone, record: (event: HistoryEvent) => void): void {
    if ("milestone" in line) {
      this.milestone = line.milestone;
      return;
    }
    if (line.kind === "acked") this.acked++;
    if (line.kind === "delivered") this.places.add(showPlace(line.place));
    record(line);
  }
}

/** Reads a whole channel as one agent sees it, and writes that down. */
async function recordFinalLog(
  record: (event: HistoryEvent) => void,
  { bus }: WireClients,
  agent: string,
  key: string,
): Promise<readonly LogRecord[]> {
  const [room, channel] = key.split(":");
  const entries: LogRecord[] = [];
  let position = "";
  for (let caughtUp = false; !caughtUp; ) {
    const start = position === "" ? {} : { start: { case: "position" as const, value: position } };
    const page = await bus.fetch({ agentId: agent, room: room!, channel: channel!, maxMessages: 1_000, ...start });
    for (const { epoch, sequence, id, sender, payload } of page.messages) {
      const digest = digestOf(payload.case === undefined ? "" : payload.value);
      entries.push({ epoch, sequence: Number(sequence), id, sender, digest });
    }
    if (page.gaps.length > 0) throw new Error(`${key}: ${page.gaps.length} gaps in a log that nobody damaged`);
    ({ position, caughtUp } = page);
  }
  // Retention keeps far more than is said here.
  record({ kind: "fetched", agent, channel: key, floor: 1, head: parsePlace(position).sequence, entries });
  return entries;
}
