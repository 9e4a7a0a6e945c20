import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How a client talks to a server. */
export type Dialect = "grpc" | "ws" | "nats" | "redis";

export interface ServerSpec {
  /** As it stands in the tables. */
  readonly name: string;
  readonly dialect: Dialect;
  /** The command, given a free port and an empty folder that is removed when the server has stopped. */
  command(port: number, folder: string): readonly string[];
  /** Files to put into the folder first. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface RunningServer {
  readonly spec: ServerSpec;
  readonly port: number;
  /** The process whose CPU and memory count. */
  readonly pid: number;
  /** Asks the process to collect garbage, where it was started to listen to that. */
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 5_000;
const POLL_MS = 20;
const KEPT_OUTPUT_BYTES = 4_000;

/**
 * Starts a server as its users start it, in a folder of its own, and waits until it accepts connections. With
 * `profileFolder` a server that runs on Node leaves a CPU profile there when it stops.
 */
export async function startServer(spec: ServerSpec, profileFolder?: string): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), "agentbus-bench-"));
  for (const [name, text] of Object.entries(spec.files ?? {})) await writeFile(join(folder, name), text);
  const port = await freePort();
  const [program, ...args] = spec.command(port, folder);
  if (profileFolder !== undefined && program === process.execPath) {
    args.unshift("--cpu-prof", "--cpu-prof-dir", profileFolder);
  }
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "pipe"] });
  const output = collectOutput(child);
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await spawned(child, program!);
    await accepting(child, port);
  } catch (cause) {
    await stop();
    throw new Error(`${spec.name} did not start: ${[program, ...args].join(" ")}\n${output()}`, { cause });
  }
  return { spec, port, pid: child.pid!, signal: (signal) => child.kill(signal), stop };
}

function spawned(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => reject(new Error(`cannot run ${program}`, { cause })));
  });
}

async function accepting(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await canConnect(port))) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port} after ${START_TIMEOUT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Keeps the end of what a process prints, to be shown when it fails. */
function collectOutput(child: ChildProcess): () => string {
  let text = "";
  const keep = (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-KEPT_OUTPUT_BYTES);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  return () => text;
}
