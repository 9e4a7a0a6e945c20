import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { run } from "../run.ts";
import type { Command, Place, ServerProgram } from "./server-kind.ts";

/** Where servers of tests listen. */
export const HOST = "127.0.0.1";

/** Of what a server says, so many characters are kept: the last ones. */
const MAX_OUTPUT = 8_000;

/** A system user, by whom a server is run that refuses root. */
export interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/** A program that runs. */
export interface ServerProcess {
  readonly child: ChildProcess;
  /** The end of what it has said so far. */
  readonly output: () => string;
}

/** The user that the server is to run as when we are root. Undefined: as we do. Throws when there is none. */
export async function userFor(kind: ServerProgram): Promise<SystemUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of kind.users) {
    const [uid, gid] = [await run("id", ["-u", name]), await run("id", ["-g", name])];
    if (uid.code === 0 && gid.code === 0) return { uid: Number(uid.output), gid: Number(gid.output) };
  }
  throw new Error(`${kind.name} must not run as root, and there is no user ${kind.users.join(" or ")}`);
}

/** Starts a program of a server in its folder. */
export function startProgram(
  [program, ...args]: Command,
  { folder }: Pick<Place, "folder">,
  user: SystemUser | undefined,
): ServerProcess {
  // Without a language setting of the machine: PostgreSQL refuses a locale that is not installed.
  const env = { PATH: process.env["PATH"], LC_ALL: "C", HOME: folder };
  const child = spawn(program, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"], ...user });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      output = (output + chunk).slice(-MAX_OUTPUT);
    });
  }
  return { child, output: () => output };
}

/** Prepares the folder of a server that wants it. Throws with what the program said when it fails. */
export async function prepareFolder(kind: ServerProgram, place: Place, user: SystemUser | undefined): Promise<void> {
  const command = kind.prepare?.(place);
  if (command === undefined) return;
  const { child, output } = startProgram(command, place, user);
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}\n${output()}`);
}

/** Whether the server at this port takes work. Rejects when one cannot connect, or it says something else. */
export async function takesWork(kind: ServerProgram, port: number): Promise<boolean> {
  const socket = net.connect(port, HOST);
  socket.on("error", () => {});
  try {
    await once(socket, "connect");
    return await kind.probe(socket, kind.url(HOST, port));
  } finally {
    socket.destroy();
  }
}
