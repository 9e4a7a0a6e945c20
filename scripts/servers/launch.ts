import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { run } from "../run.ts";
import type { Command, Place, ServerKind } from "./server-kind.ts";

export interface LaunchedServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

const HOST = "127.0.0.1";
const START_MS = 30_000;
const PROBE_MS = 25;
const STOP_MS = 20_000;
/** Between choosing a free port and listening on it, somebody else may take it. */
const TRIES = 3;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a server in a folder of its own on a free port of 127.0.0.1, and resolves when it takes work. */
export async function launch(kind: ServerKind, programs: readonly string[], fsync: boolean): Promise<LaunchedServer> {
  const user = await userFor(kind);
  for (let attempt = 1; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), `agentbus-${kind.name}-`));
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    try {
      return await launchOnce(kind, { programs, folder, port: await freePort(), fsync }, user);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      if (attempt === TRIES) throw error;
    }
  }
}

async function launchOnce(kind: ServerKind, place: Place, user: User | undefined): Promise<LaunchedServer> {
  const prepare = kind.prepare?.(place);
  if (prepare !== undefined) await toEnd(prepare, place, user);
  const serve = kind.serve(place);
  const child = start(serve, place, user);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      output = (output + chunk).slice(-8_000);
    });
  }
  const url = kind.url(HOST, place.port);
  const ended = once(child, "exit");
  ended.catch(() => {});
  running.add(child);
  child.once("exit", () => running.delete(child));

  const stop = async () => {
    child.kill(kind.stopSignal);
    const patience = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
    if (child.exitCode === null && child.signalCode === null) await ended;
    clearTimeout(patience);
    rmSync(place.folder, { recursive: true, force: true });
  };
  try {
    await waitUntilReady(kind, url, place.port, child);
  } catch (cause) {
    await stop();
    throw new Error(`${serve.join(" ")} did not come up\n${output}`, { cause });
  }
  return { url, port: place.port, pid: child.pid!, stop };
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

async function userFor(kind: ServerKind): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of kind.users) {
    const [uid, gid] = [await run("id", ["-u", name]), await run("id", ["-g", name])];
    if (uid.code === 0 && gid.code === 0) return { uid: Number(uid.output), gid: Number(gid.output) };
  }
  throw new Error(`${kind.name} must not run as root, and there is no user ${kind.users.join(" or ")}`);
}

function start([program, ...args]: Command, place: Place, user: User | undefined): ChildProcess {
  // Without a language setting of the machine: PostgreSQL refuses a locale that is not installed.
  const env = { PATH: process.env["PATH"], LC_ALL: "C", HOME: place.folder };
  return spawn(program, args, { cwd: place.folder, env, stdio: ["ignore", "pipe", "pipe"], ...user });
}

async function toEnd(command: Command, place: Place, user: User | undefined): Promise<void> {
  const child = start(command, place, user);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      output += chunk;
    });
  }
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}\n${output}`);
}

async function waitUntilReady(kind: ServerKind, url: string, port: number, child?: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS;
  let last: unknown;
  while (performance.now() < deadline) {
    if (child !== undefined && (child.exitCode ?? child.signalCode) !== null)
      throw new Error("it ended", { cause: last });
    const socket = net.connect(port, HOST);
    socket.on("error", () => {});
    try {
      await once(socket, "connect");
      if (await kind.probe(socket, url)) return;
    } catch (error) {
      last = error;
    } finally {
      socket.destroy();
    }
    await pause(PROBE_MS);
  }
  throw new Error(`no answer within ${START_MS} ms`, { cause: last });
}

/** As `launch`, in a container. Undefined when there is no working Docker. */
export async function launchInDocker(kind: ServerKind, fsync: boolean): Promise<LaunchedServer | undefined> {
  if ((await run("docker", ["info"])).code !== 0) return undefined;
  const { image, port, env, args } = kind.docker;
  const variables = Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]);
  const publish = ["--publish", `${HOST}::${port}`];
  const started = await run("docker", ["run", "--detach", "--rm", ...publish, ...variables, image, ...args(fsync)]);
  if (started.code !== 0) return undefined;
  const id = started.output.trim().split("\n").at(-1)!;
  const stop = async () => void (await run("docker", ["rm", "--force", id]));
  const published = await run("docker", ["port", id, String(port)]);
  const hostPort = Number(/:(\d+)\s*$/m.exec(published.output)?.[1]);
  const url = kind.url(HOST, hostPort);
  try {
    await waitUntilReady(kind, url, hostPort);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port: hostPort, pid: 0, stop };
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
