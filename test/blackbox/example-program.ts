import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { ensurePython } from "../../scripts/python.ts";
import type { Exit } from "../support/bus-process.ts";
import { waitUntil, within } from "../support/wait.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A program under examples/, running. */
export interface ExampleProgram {
  /** The lines it printed so far. */
  readonly lines: readonly string[];
  /** Resolves to the first line that fits, also one that was printed before. */
  line(fits: RegExp): Promise<string>;
  write(text: string): void;
  endInput(): void;
  kill(signal?: NodeJS.Signals): void;
  readonly exited: Promise<Exit & { readonly stderr: string }>;
}

/** Starts a program as its README says, against this bus. It ends with the test at the latest. */
export async function startExample(path: string, url: string, ...args: readonly string[]): Promise<ExampleProgram> {
  const isPython = path.endsWith(".py");
  const runtime = isPython ? (await ensurePython()).python : process.execPath;
  const child = spawn(runtime, [join(ROOT, "examples", path), ...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], AGENTBUS_URL: url, PYTHONPATH: join(ROOT, "sdk", "python", "src") },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines: string[] = [];
  let stderr = "";
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => {}); // it may end before it has read everything
  const closed = new Promise<Exit & { stderr: string }>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal, stderr }));
  });
  const seen = (what: string) => () => `${path} ${what}; it printed\n${lines.join("\n")}\n${stderr}`;
  return {
    lines,
    line: (fits) =>
      waitUntil(() => lines.find((line) => fits.test(line)), { timeoutMs: 60_000, what: seen(`to print ${fits}`) }),
    write: (text) => void child.stdin.write(text),
    endInput: () => void child.stdin.end(),
    kill: (signal = "SIGTERM") => void child.kill(signal),
    exited: within(closed, { timeoutMs: 110_000, what: seen("to end") }),
  };
}

/** Whether Python programs can be run here. Throws when AGENTBUS_TEST_REQUIRE=1 says that they must. */
export async function hasPython(): Promise<boolean> {
  try {
    await ensurePython();
    return true;
  } catch (error) {
    if (process.env["AGENTBUS_TEST_REQUIRE"] === "1") throw error;
    process.stderr.write(`SKIPPED, tests of examples in Python: ${error}\n`);
    return false;
  }
}
