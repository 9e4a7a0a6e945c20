import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../../bin/agentbus.js", import.meta.url));

export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** Starts the bus of this repository as a process on a free port, on memory. */
export async function startServer(...args: readonly string[]): Promise<RunningServer> {
  const child = spawn(process.execPath, [PROGRAM, "serve", "--port", "0", ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const errors: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk.toString()));
  for await (const line of createInterface({ input: child.stdout })) {
    const entry = JSON.parse(line) as { msg: string; port: number };
    if (entry.msg !== "listening") continue;
    child.stdout.resume();
    return { port: entry.port, stop: () => stop(child) };
  }
  throw new Error(`the server did not start:\n${errors.join("")}`);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}
