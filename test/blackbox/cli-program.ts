import { type ChildProcess, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { waitUntil, within } from "../support/wait.ts";

const PROGRAM = fileURLToPath(new URL("../../bin/agentbus.js", import.meta.url));
// Many short processes load the same modules: the second one and all behind it start in half the time.
const COMPILE_CACHE = join(tmpdir(), "agentbus-test-compile-cache");
const PASSED_ON = ["PATH", "HOME", "TMPDIR", "LANG", "TZ", "USER", "NODE_V8_COVERAGE"];

export interface CliOptions {
  /** Where the bus is, as AGENTBUS_URL. */
  readonly url?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads from standard input; undefined: it stays open. */
  readonly input?: string;
  readonly cwd?: string;
  /** Run by this program instead, with the whole command line as its last argument. */
  readonly under?: readonly string[];
}

export interface CliOutcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The lines of standard output as JSON. */
  json(): Record<string, unknown>[];
  /** The lines of standard output. */
  lines(): string[];
}

/** `agentbus` as a process of its own, as a user starts it. */
export interface CliProcess {
  readonly child: ChildProcess;
  /** What it printed so far. */
  readonly printed: { readonly stdout: string; readonly stderr: string };
  /** Resolves when it has printed so many lines of results. */
  printedLines(count: number): Promise<string[]>;
  /** Resolves when standard error holds this. */
  told(text: string): Promise<void>;
  /** Resolves when standard output holds this; on a terminal it holds everything. */
  wrote(text: RegExp): Promise<void>;
  readonly outcome: Promise<CliOutcome>;
}

/** Starts the program. It ends with the test at the latest. */
export function startCli(args: readonly string[], options: CliOptions = {}): CliProcess {
  const { under, url, env = {}, cwd, input } = options;
  const command = [process.execPath, PROGRAM, ...args];
  const [file, ...rest] = under === undefined ? command : [...under, command.map(shellWord).join(" ")];
  const inherited = PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const child = spawn(file!, rest, {
    stdio: ["pipe", "pipe", "pipe"],
    env: {
      ...Object.fromEntries(inherited),
      NODE_COMPILE_CACHE: COMPILE_CACHE,
      ...(url === undefined ? {} : { AGENTBUS_URL: url }),
      ...env,
    },
    ...(cwd === undefined ? {} : { cwd }),
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const printed = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    printed.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    printed.stderr += text;
  });
  // It may end without reading what it is given.
  child.stdin.on("error", () => {});
  if (input !== undefined) child.stdin.end(input);
  const outcome = new Promise<CliOutcome>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) =>
      resolve({
        code,
        ...printed,
        lines: () => linesOf(printed.stdout),
        json: () => linesOf(printed.stdout).map((line) => JSON.parse(line) as Record<string, unknown>),
      }),
    );
  });
  const what = (missing: string) => () =>
    `agentbus ${args.join(" ")} to print ${missing}; it printed\n${printed.stdout}\n${printed.stderr}`;
  return {
    child,
    printed,
    async printedLines(count) {
      await waitUntil(() => linesOf(printed.stdout).length >= count, {
        timeoutMs: 60_000,
        what: what(`${count} lines`),
      });
      return linesOf(printed.stdout);
    },
    async told(text) {
      await waitUntil(() => printed.stderr.includes(text), { timeoutMs: 60_000, what: what(text) });
    },
    async wrote(text) {
      await waitUntil(() => text.test(printed.stdout), { timeoutMs: 60_000, what: what(String(text)) });
    },
    outcome: within(outcome, {
      timeoutMs: 110_000,
      what: () => `agentbus ${args.join(" ")} to end\n${printed.stderr}`,
    }),
  };
}

/** Runs the program to its end, with nothing on standard input unless some is given. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliOutcome> {
  return startCli(args, { input: "", ...options }).outcome;
}

function linesOf(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
