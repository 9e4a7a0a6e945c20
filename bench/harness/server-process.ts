import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPrograms } from "../../scripts/servers/find-programs.ts";
import { type LaunchedServer, launch } from "../../scripts/servers/launch.ts";
import { SERVER_KINDS } from "../../scripts/servers/obtain.ts";

/** How a client talks to a server. */
export type Dialect = "grpc" | "ws" | "nats" | "redis" | "postgres" | "mysql";

export interface ServerSpec {
  /** As it stands in the tables. */
  readonly name: string;
  readonly dialect: Dialect;
  /**
   * The command, given a free port, an empty folder that is removed when the server has stopped, and the backend's URL.
   * Unset: the backend itself is the server.
   */
  readonly command?: (port: number, folder: string, backendUrl: string) => readonly string[];
  /** What it keeps its messages on; started for it alone, with everything on disk before it is acknowledged. */
  readonly backend?: "redis" | "postgres" | "mariadb";
  /** How many processes of it run on the same backend. Default: 1. */
  readonly nodes?: number;
  /** Files to put into the folder first. */
  readonly files?: Readonly<Record<string, string>>;
}

export interface RunningServer {
  readonly spec: ServerSpec;
  readonly port: number;
  /** Of every node; the first is `port`. */
  readonly ports: readonly [number, ...number[]];
  readonly url: string;
  /** The process whose memory counts: the first node. */
  readonly pid: number;
  /** The processes whose CPU counts. */
  readonly pids: readonly number[];
  /** Those of them that are the backend of our nodes. */
  readonly storagePids: readonly number[];
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
  const backend = spec.backend === undefined ? undefined : await startBackend(spec.backend);
  const started: Started[] = [];
  const stop = async () => {
    await Promise.all(started.map((node) => node.stop()));
    await backend?.stop();
  };
  try {
    const nodes = spec.command === undefined ? 0 : (spec.nodes ?? 1);
    for (let i = 0; i < nodes; i++) started.push(await startProgram(spec, backend?.url ?? "", profileFolder));
  } catch (error) {
    await stop();
    throw error;
  }
  const [first = backend!, ...others] = started;
  return {
    spec,
    port: first.port,
    ports: [first.port, ...others.map(({ port }) => port)],
    url: backend?.url ?? "",
    pid: first.pid,
    pids: [...started.map(({ pid }) => pid), ...(backend === undefined ? [] : [backend.pid])],
    storagePids: backend === undefined || started.length === 0 ? [] : [backend.pid],
    signal: (signal) => process.kill(first.pid, signal),
    stop,
  };
}

interface Started {
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

async function startBackend(name: NonNullable<ServerSpec["backend"]>): Promise<LaunchedServer> {
  const kind = SERVER_KINDS[name];
  const programs = findPrograms(kind);
  if (programs === undefined) throw new Error(`${name} is not on this machine (Debian: ${kind.aptPackage})`);
  return await launch(kind, programs, true);
}

async function startProgram(spec: ServerSpec, backendUrl: string, profileFolder: string | undefined): Promise<Started> {
  const folder = await mkdtemp(join(tmpdir(), "agentbus-bench-"));
  for (const [name, text] of Object.entries(spec.files ?? {})) await writeFile(join(folder, name), text);
  const port = await freePort();
  const [program, ...args] = spec.command!(port, folder, backendUrl);
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
    if (spec.backend !== undefined) await ready(child, port);
  } catch (cause) {
    await stop();
    throw new Error(`${spec.name} did not start: ${[program, ...args].join(" ")}\n${output()}`, { cause });
  }
  return { port, pid: child.pid!, stop };
}

/** A node on a backend accepts connections before it has opened that, and says when it has. */
async function ready(child: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await fetch(`http://127.0.0.1:${port}/ready`)).ok) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    if (Date.now() > deadline) throw new Error(`it is not ready after ${START_TIMEOUT_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
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
