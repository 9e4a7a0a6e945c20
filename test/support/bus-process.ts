import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { lastingPort } from "../../scripts/servers/lasting-port.ts";
import { within } from "./wait.ts";

export interface BusProcessOptions {
  /** Options of `agentbus serve`, behind `--port`. Default: none. */
  readonly args?: readonly string[];
  /** Environment on top of PATH, HOME and the like. The test's own AGENTBUS_* variables are not passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory. Default: the test's. */
  readonly cwd?: string;
  /** 0: the system chooses. Default: 0. */
  readonly port?: number;
  /** True: it will be started again at the same address, so its port is one that nobody gets meanwhile. Default: false. */
  readonly comesBack?: boolean;
  /** False: does not wait for its storage, only for its port. Default: true. */
  readonly serving?: boolean;
  /** How long it may take to listen, in milliseconds. Default: 60,000. */
  readonly startMs?: number;
  /** Runs another program instead of bin/agentbus.js under this Node. For the tests of this file. */
  readonly command?: readonly string[];
  /** Kills the server, also while it starts. */
  readonly signal?: AbortSignal;
}

/** One line of the server's JSON log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server in a process of its own, as a user starts it. */
export interface BusProcess {
  readonly pid: number;
  readonly host: string;
  readonly port: number;
  /** "http://127.0.0.1:7400" */
  readonly url: string;
  /** Every line it logged so far; lines that are not JSON are `msg` of level "text". */
  readonly log: readonly LogLine[];
  /** The first line that fits, also one that was logged before the call. Rejects when the process ends without it. */
  waitForLog(fits: (line: LogLine) => boolean, what: string): Promise<LogLine>;
  /** SIGTERM, then waits: it drains. Rejects when it is not gone after `withinMs` (default 60,000). */
  stop(withinMs?: number): Promise<Exit>;
  /** SIGKILL: no chance to say or write anything. */
  kill(): Promise<Exit>;
  /** SIGSTOP and SIGCONT: it is there and does not answer. */
  freeze(): void;
  thaw(): void;
  readonly exited: Promise<Exit>;
  [Symbol.asyncDispose](): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL("../../bin/agentbus.js", import.meta.url));
const PASSED_ON = ["PATH", "HOME", "TMPDIR", "LANG", "TZ", "NODE_EXTRA_CA_CERTS", "NODE_V8_COVERAGE"];
const MAX_LOG_LINES = 100_000;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts a server on a free port of 127.0.0.1 and resolves when it listens. Rejects with its log when it ends or says
 * nothing. Ends with the test at the latest: `endLeftovers` kills it and says so.
 */
export async function startBus(options: BusProcessOptions = {}): Promise<BusProcess> {
  const port = options.port ?? (options.comesBack === true ? await lastingPort() : 0);
  const program = options.command ?? [process.execPath, PROGRAM, "serve", "--port", String(port)];
  const [file, ...args] = [...program, ...(options.args ?? [])];
  const inherited = PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const child = spawn(file!, args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...Object.fromEntries(inherited), NO_COLOR: "1", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  running.add(child);
  const exited = watchExit(child);
  const kill = () => void child.kill("SIGKILL");
  options.signal?.addEventListener("abort", kill, { once: true });
  void exited.finally(() => options.signal?.removeEventListener("abort", kill)).catch(() => {});
  const lines = collectLines(child, exited);

  const isUp = options.serving === false ? hasPort : isListening;
  const listening = await lines.wait(isUp, "listening", options.startMs ?? 60_000).catch(async (error) => {
    child.kill("SIGKILL");
    await exited;
    throw error;
  });

  const host = String(listening["host"]);
  const bus: BusProcess = {
    pid: child.pid!,
    host,
    port: Number(listening["port"]),
    url: `http://${host.includes(":") ? `[${host}]` : host}:${listening["port"]}`,
    log: lines.log,
    waitForLog: (fits, what) => lines.wait(fits, what),
    async stop(withinMs = 60_000) {
      child.kill("SIGTERM");
      return within(exited, { timeoutMs: withinMs, what: () => `the server to end after SIGTERM\n${lines.tail()}` });
    },
    kill() {
      child.kill("SIGKILL");
      return exited;
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    exited,
    async [Symbol.asyncDispose]() {
      await bus.kill();
    },
  };
  return bus;
}

/** Kills every server that a test left running, and answers their process ids. */
export async function endLeftovers(): Promise<readonly number[]> {
  const leftovers = [...running];
  for (const child of leftovers) child.kill("SIGKILL");
  await Promise.all(leftovers.map((child) => (child.exitCode ?? child.signalCode) === null && once(child, "exit")));
  return leftovers.map((child) => child.pid ?? 0);
}

function isListening(line: LogLine): boolean {
  return line.msg === "listening" && hasPort(line);
}

/** Also of a node that waits for its storage. */
function hasPort(line: LogLine): boolean {
  return line.msg.startsWith("listening") && typeof line["host"] === "string" && typeof line["port"] === "number";
}

function watchExit(child: ChildProcess): Promise<Exit> {
  const { promise, resolve, reject } = Promise.withResolvers<Exit>();
  child.once("exit", (code, signal) => {
    running.delete(child);
    resolve({ code, signal });
  });
  child.once("error", (error) => {
    running.delete(child);
    reject(error);
  });
  promise.catch(() => {}); // told to whoever waits for a line, too
  return promise;
}

function collectLines(child: ChildProcess, exited: Promise<Exit>) {
  const log: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  const add = (text: string) => {
    const line = parseLine(text);
    if (log.length < MAX_LOG_LINES) log.push(line);
    for (const tell of [...waiting]) tell(line);
  };
  const ends = [child.stdout!, child.stderr!].map((input) => once(createInterface({ input }).on("line", add), "close"));
  // The exit is known before the last lines are read.
  const over = Promise.all([exited, ...ends]);
  over.catch(() => {});
  const tail = () =>
    log
      .slice(-20)
      .map((line) => `  ${JSON.stringify(line)}`)
      .join("\n");

  async function wait(fits: (line: LogLine) => boolean, what: string, timeoutMs?: number): Promise<LogLine> {
    const known = log.find(fits);
    if (known !== undefined) return known;
    const { promise, resolve, reject } = Promise.withResolvers<LogLine>();
    const look = (line: LogLine) => void (fits(line) && resolve(line));
    waiting.add(look);
    over.then(([exit]) => {
      reject(new Error(`the server ended (${exit.signal ?? exit.code}) before it logged ${what}\n${tail()}`));
    }, reject);
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    try {
      return await within(promise, { ...limit, what: () => `the server to log ${what}; it logged\n${tail()}` });
    } finally {
      waiting.delete(look);
    }
  }
  return { log, tail, wait };
}

function parseLine(text: string): LogLine {
  if (text.startsWith("{")) {
    try {
      const line: unknown = JSON.parse(text);
      if (typeof line === "object" && line !== null && "msg" in line) return { level: "info", ...line } as LogLine;
    } catch {
      // A sentence that begins with a brace: kept as text below.
    }
  }
  return { level: "text", msg: text };
}
