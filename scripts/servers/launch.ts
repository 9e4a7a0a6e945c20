import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { run } from "../run.ts";
import { lastingPort } from "./lasting-port.ts";
import type { Place, ServerKind, ServerProgram } from "./server-kind.ts";
import { HOST, prepareFolder, type SystemUser, startProgram, takesWork, userFor } from "./server-process.ts";

export interface LaunchedServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Ends it and removes its data. */
  stop(): Promise<void>;
}

const START_MS = 60_000;
const PROBE_MS = 25;
const STOP_MS = 60_000;
/** Between choosing a port and listening on it, somebody else may take it. */
const TRIES = 3;

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a server in a folder of its own on a free port of 127.0.0.1, and resolves when it takes work. */
export async function launch(
  kind: ServerProgram,
  programs: readonly string[],
  fsync: boolean,
): Promise<LaunchedServer> {
  const user = await userFor(kind);
  for (let attempt = 1; ; attempt++) {
    const folder = mkdtempSync(join(tmpdir(), `agentbus-${kind.name}-`));
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    try {
      return await launchOnce(kind, { programs, folder, port: await lastingPort(), fsync }, user);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      if (attempt === TRIES) throw error;
    }
  }
}

async function launchOnce(kind: ServerProgram, place: Place, user: SystemUser | undefined): Promise<LaunchedServer> {
  await prepareFolder(kind, place, user);
  const serve = kind.serve(place);
  const { child, output } = startProgram(serve, place, user);
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
    await waitUntilReady(kind, place.port, child);
  } catch (cause) {
    await stop();
    throw new Error(`${serve.join(" ")} did not come up\n${output()}`, { cause });
  }
  return { url, port: place.port, pid: child.pid!, stop };
}

async function waitUntilReady(kind: ServerProgram, port: number, child?: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_MS;
  let last: unknown;
  while (performance.now() < deadline) {
    if (child !== undefined && (child.exitCode ?? child.signalCode) !== null)
      throw new Error("it ended", { cause: last });
    try {
      if (await takesWork(kind, port)) return;
    } catch (error) {
      last = error;
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
    await waitUntilReady(kind, hostPort);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, port: hostPort, pid: 0, stop };
}
