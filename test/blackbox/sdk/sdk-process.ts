import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ensurePython } from "../../../scripts/python.ts";
import { within } from "../../support/wait.ts";
import type { ObservedError } from "./observed.ts";

/** How the programs under ../agents are started, for one SDK. */
export interface Language {
  /** "TypeScript over gRPC". */
  readonly name: string;
  /** The command line of ../agents/<program> in this language, without file extension; and its environment. */
  command(
    program: string,
  ): Promise<{ readonly line: readonly string[]; readonly env?: Readonly<Record<string, string>> }>;
}

const agents = (file: string) => fileURLToPath(new URL(`../agents/${file}`, import.meta.url));
const PYTHON_SDK = fileURLToPath(new URL("../../../sdk/python/src", import.meta.url));

export const TYPESCRIPT: Language = {
  name: "TypeScript over gRPC",
  command: async (program) => ({ line: [process.execPath, agents(`${program}.ts`), "grpc"] }),
};

/** What a browser runs. */
export const TYPESCRIPT_FETCH: Language = {
  name: "TypeScript over fetch",
  command: async (program) => ({ line: [process.execPath, agents(`${program}.ts`), "fetch"] }),
};

export const PYTHON: Language = {
  name: "Python",
  async command(program) {
    const { python } = await ensurePython();
    return { line: [python, agents(`${program.replaceAll("-", "_")}.py`)], env: { PYTHONPATH: PYTHON_SDK } };
  },
};

/** What an SDK raised in answer to a step. */
export class StepFailed extends Error {
  override readonly name = "StepFailed";
  readonly observed: ObservedError;

  constructor(step: string, observed: ObservedError) {
    super(`${step}: ${JSON.stringify(observed)}`);
    this.observed = observed;
  }
}

/** No step of a scenario waits for anything longer: what hangs is named. */
const STEP_MS = 60_000;

interface Waiting {
  readonly step: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

type Answer = { readonly step: number } & ({ readonly result: unknown } | { readonly error: ObservedError });

/** A program that carries out steps with one SDK. */
export class SdkProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  readonly #exited: Promise<unknown>;
  #steps = 0;
  #over: Error | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, "exit");
    let errors = "";
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      errors = (errors + text).slice(-10_000);
    });
    child.stdin!.on("error", () => {}); // told by the exit
    createInterface({ input: child.stdout! }).on("line", (line) => this.#settle(JSON.parse(line) as Answer));
    const end = (how: string) => {
      this.#over = new Error(`the program ${how}\n${errors}`);
      for (const { reject } of this.#waiting.values()) reject(this.#over);
      this.#waiting.clear();
    };
    child.once("close", (code, signal) => end(`ended with ${code ?? signal}`));
    child.once("error", (error) => end(`did not start: ${error.message}`));
  }

  static async start(language: Language): Promise<SdkProcess> {
    const { line, env } = await language.command("sdk-program");
    const [file, ...args] = line;
    return new SdkProcess(spawn(file!, args, { stdio: "pipe", env: { ...process.env, ...env } }));
  }

  /** Written before this returns, so steps begin in the order of the calls. `signal` cancels the step. */
  call<T>(step: string, args: object = {}, signal?: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const answer = within(promise, {
      timeoutMs: STEP_MS,
      what: () => `${step} ${JSON.stringify(args).slice(0, 300)} to be answered`,
    });
    answer.catch(() => {}); // a step may fail before it is awaited
    if (this.#over !== undefined) {
      reject(this.#over);
      return answer;
    }
    const number = ++this.#steps;
    this.#waiting.set(number, { step, resolve: (result) => resolve(result as T), reject });
    this.#write({ step: number, do: step, ...args });
    signal?.addEventListener("abort", () => this.#write({ cancel: number }), { once: true });
    return answer;
  }

  /** SIGKILL: the program has no chance to say or save anything. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited.catch(() => {});
  }

  #write(line: object): void {
    this.#child.stdin!.write(`${JSON.stringify(line)}\n`);
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.step);
    this.#waiting.delete(answer.step);
    if ("error" in answer) waiting?.reject(new StepFailed(waiting.step, answer.error));
    else waiting?.resolve(answer.result);
  }
}
