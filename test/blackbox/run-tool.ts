import { spawn } from "node:child_process";
import { once } from "node:events";
import { within } from "../support/wait.ts";

export interface ToolOptions {
  /** Goes to its standard input. Unset: nothing does. */
  readonly input?: string;
  /** It is ended once its output fits: for calls that go on for ever. */
  readonly until?: RegExp;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface ToolOutcome {
  /** Null: it was ended because its output fits `until`. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT_MS = 110_000;

/** Runs a program of somebody else as a user would, and never waits for it for ever. */
export async function runTool(
  program: string,
  args: readonly string[],
  options: ToolOptions = {},
): Promise<ToolOutcome> {
  const { input, until, env, cwd } = options;
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk;
    if (until?.test(stdout)) child.kill("SIGKILL");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk;
  });
  child.stdin.on("error", () => {}); // it did not want to read that
  child.stdin.end(input);
  try {
    const what = () => `${program} ${args.join(" ")} to end; it wrote\n${stdout}${stderr}`;
    const [code] = (await within(once(child, "close"), { timeoutMs: TIMEOUT_MS, what })) as [number | null];
    return { code, stdout, stderr };
  } finally {
    child.kill("SIGKILL");
  }
}

/** What a tool wrote: JSON values one behind another. */
export function jsonValues(text: string): readonly Record<string, unknown>[] {
  const values: Record<string, unknown>[] = [];
  // Tools print each value indented, so that a line with a lone brace ends it.
  for (const part of text.split(/(?<=^\}$|^\{\}$)\n/m)) if (part.trim() !== "") values.push(JSON.parse(part));
  return values;
}
