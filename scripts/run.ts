import { spawn } from "node:child_process";

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called with each piece of output as it comes. */
  readonly onOutput?: (text: string) => void;
  /** Kills the program and its children. */
  readonly signal?: AbortSignal;
}

export interface Outcome {
  /** 127 when the program does not exist; 128 and more when a signal ended it. */
  readonly code: number;
  /** What it wrote to both, in the order it came; the newest 4 MiB. */
  readonly output: string;
}

const MAX_OUTPUT = 4 * 1024 * 1024;

/** Runs a program to its end. Never rejects: what went wrong is in the outcome. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let output = "";
  const add = (chunk: Buffer | string) => {
    output = (output + chunk.toString()).slice(-MAX_OUTPUT);
    options.onOutput?.(chunk.toString());
  };
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // a process group of its own, so that its children end with it
  });
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended, and we are not told yet.
    }
  };
  options.signal?.addEventListener("abort", kill, { once: true });
  child.stdout.on("data", add);
  child.stderr.on("data", add);
  child.once("error", (error) => {
    add(`${program}: ${error.message}\n`);
    resolve({ code: 127, output });
  });
  child.once("close", (code, signal) => resolve({ code: signal === null ? (code ?? 1) : 128, output }));
  const outcome = await promise;
  options.signal?.removeEventListener("abort", kill);
  return outcome;
}

/** As `run`, but rejects with the output when the program fails. */
export async function runOrThrow(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, output } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}\n${output}`);
  return output;
}
