import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { waitUntil } from "../../test/support/wait.ts";
import { ensurePython } from "../python.ts";
import { ROOT } from "../root.ts";
import type { ServiceWatch } from "./service-watch.ts";

export interface PythonProducer {
  readonly name: string;
  readonly agent: string;
  /** Messages a second. */
  readonly rate: number;
  readonly targets: readonly { readonly channel?: string; readonly to?: readonly string[] }[];
}

export interface PythonReader {
  readonly name: string;
  readonly agent: string;
  readonly channels?: readonly string[];
  readonly patterns?: readonly string[];
  /** A message whose id begins so ends a channel. */
  readonly endPrefix: string;
}

export interface PythonClientsOptions {
  readonly urls: readonly string[];
  readonly seed: number;
  /** The file for what they see. */
  readonly history: string;
  readonly producers: readonly PythonProducer[];
  readonly readers: readonly PythonReader[];
  readonly watch: ServiceWatch;
  /** A reader has read a channel's last message. */
  readonly onEnd: (reader: string, channel: string) => void;
}

interface News {
  readonly acked?: Readonly<Record<string, readonly [count: number, atMs: number]>>;
  readonly read?: Readonly<Record<string, number>>;
  readonly streams?: readonly (readonly [client: string, what: "opened" | "cut", atMs: number])[];
  readonly ends?: readonly (readonly [reader: string, channel: string])[];
  readonly finished?: true;
}

const PROGRAM = join(import.meta.dirname, "clients.py");
const MAX_COMPLAINTS = 20_000;
const FINISH_MS = 150_000;
const STOP_MS = 30_000;

/** Clients over the Python SDK, in a process of their own. */
export class PythonClients {
  /** Rejects when the program fails; else it stays pending. */
  readonly failed: Promise<never>;
  readonly #child: ChildProcess;
  #complaints = "";
  #finished = false;
  #stopping = false;

  private constructor(child: ChildProcess, { watch, onEnd }: PythonClientsOptions) {
    this.#child = child;
    child.stderr!.on("data", (chunk) => {
      this.#complaints = (this.#complaints + chunk).slice(-MAX_COMPLAINTS);
    });
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const news = JSON.parse(line) as News;
      for (const [client, [count, atMs]] of Object.entries(news.acked ?? {})) watch.onAcked(client, count, atMs);
      for (const [client, acceptedAtMs] of Object.entries(news.read ?? {})) watch.onRead(client, acceptedAtMs);
      for (const [client, what, atMs] of news.streams ?? []) {
        if (what === "cut") watch.onCut(client, atMs);
        else watch.onOpened(client, atMs);
      }
      for (const [reader, channel] of news.ends ?? []) onEnd(reader, channel);
      if (news.finished) this.#finished = true;
    });
    const { promise, reject } = Promise.withResolvers<never>();
    this.failed = promise;
    promise.catch(() => {});
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (!this.#stopping) reject(new Error(`the Python clients ended (${signal ?? code})\n${this.#complaints}`));
    });
  }

  static async start(options: PythonClientsOptions): Promise<PythonClients> {
    const { python } = await ensurePython((text) => console.error(text));
    const { urls, seed, history, producers, readers } = options;
    const settings = JSON.stringify({ urls, seed, history, producers, readers });
    const env = { ...process.env, PYTHONPATH: join(ROOT, "sdk", "python", "src"), GRPC_ENABLE_FORK_SUPPORT: "0" };
    const child = spawn(python, [PROGRAM, settings], { env, stdio: ["pipe", "pipe", "pipe"] });
    return new PythonClients(child, options);
  }

  /** Sends nothing new, and resolves when everything that was sent has an outcome. */
  async finish(): Promise<void> {
    this.#child.stdin!.write("finish\n");
    const done = waitUntil(() => this.#finished, { timeoutMs: FINISH_MS, what: "the Python clients to finish" });
    await Promise.race([this.failed, done]);
  }

  /** Ends the program; the history is complete then. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const gone = once(this.#child, "exit");
    this.#child.stdin!.write("stop\n");
    const patience = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    const [code, signal] = await gone;
    clearTimeout(patience);
    if (code !== 0) throw new Error(`the Python clients ended with ${signal ?? code}\n${this.#complaints}`);
  }

  kill(): void {
    this.#stopping = true;
    this.#child.kill("SIGKILL");
  }
}
