import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { waitUntil, within } from "../../test/support/wait.ts";
import { findPrograms, installPrograms } from "../servers/find-programs.ts";
import { lastingPort } from "../servers/lasting-port.ts";
import { SERVER_KINDS } from "../servers/obtain.ts";
import type { Command, Place, ServerKind, ServerName } from "../servers/server-kind.ts";
import {
  prepareFolder,
  type ServerProcess,
  type SystemUser,
  startProgram,
  takesWork,
  userFor,
} from "../servers/server-process.ts";
import type { ChaosDurability } from "./options.ts";

export interface BackendServerOptions {
  readonly name: ServerName;
  readonly durability: ChaosDurability;
  /** The folder is a disk of its own of so many MiB, so that it can be filled up. Unset: a folder of the system's disk. */
  readonly diskMiB?: number;
}

const READY_MS = 60_000;
const GONE_MS = 30_000;
const PROBE_MS = 25;
const PROBE_PATIENCE_MS = 5_000;

/** What differs from the test servers' settings. Where an option is given twice, the last one holds. */
const EXTRA: Readonly<Record<string, Readonly<Record<ChaosDurability, readonly string[]>>>> = {
  redis: {
    // Without rewrites the file only grows: a power cut is a shorter file.
    SYNCED: ["--auto-aof-rewrite-percentage", "0"],
    STORED: ["--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"],
  },
  postgres: {
    SYNCED: ["-c", "max_wal_size=96MB", "-c", "max_connections=60"],
    STORED: ["-c", "max_wal_size=96MB", "-c", "max_connections=60", "-c", "synchronous_commit=off"],
  },
  mariadb: { SYNCED: [], STORED: ["--innodb-flush-log-at-trx-commit=2"] },
};

const running = new Set<BackendServer>();
process.on("exit", () => {
  for (const server of running) server.discard();
});

/** A storage server of the run's own that can be killed, frozen and started again on the same data and port. */
export class BackendServer {
  readonly kind: ServerKind;
  readonly port: number;
  readonly folder: string;
  readonly #command: Command;
  readonly #place: Place;
  readonly #user: SystemUser | undefined;
  readonly #hasDisk: boolean;
  #process: ServerProcess | undefined;

  private constructor(options: BackendServerOptions, place: Place, user: SystemUser | undefined) {
    this.kind = SERVER_KINDS[options.name];
    this.port = place.port;
    this.folder = place.folder;
    this.#place = place;
    this.#user = user;
    this.#hasDisk = options.diskMiB !== undefined;
    this.#command = [...this.kind.serve(place), ...EXTRA[options.name]![options.durability]] as unknown as Command;
  }

  /** Prepares its data and starts it. Throws when it is not on this machine and cannot be installed. */
  static async launch(options: BackendServerOptions): Promise<BackendServer> {
    const kind = SERVER_KINDS[options.name];
    const programs = findPrograms(kind) ?? (await installPrograms(kind, console.error));
    if (programs === undefined) throw new Error(`${kind.name} is not on this machine and could not be installed`);
    const user = await userFor(kind);
    const folder = mkdtempSync(join(tmpdir(), `agentbus-chaos-${kind.name}-`));
    if (options.diskMiB !== undefined) mountDisk(folder, options.diskMiB);
    if (user !== undefined) chownSync(folder, user.uid, user.gid);
    const server = new BackendServer(options, { programs, folder, port: await lastingPort(), fsync: true }, user);
    running.add(server);
    await prepareFolder(kind, server.#place, user);
    await server.start();
    return server;
  }

  get alive(): boolean {
    const child = this.#process?.child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Resolves when it takes work. It runs already: nothing happens. Tries again while it ends by itself. */
  async start(): Promise<void> {
    const deadline = performance.now() + READY_MS;
    for (;;) {
      if (!this.alive) this.#process = startProgram(this.#command, this, this.#user);
      if (await this.#answers()) return;
      if (performance.now() > deadline)
        throw new Error(`${this.kind.name} does not come up\n${this.#process?.output()}`);
      await pause(PROBE_MS);
    }
  }

  /** Ends it by a signal, SIGKILL with every process it started, and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.alive) return;
    const { child } = this.#process!;
    const gone = once(child, "exit");
    if (signal === "SIGKILL") for (const pid of this.#pids().reverse()) kill(pid, "SIGKILL");
    else child.kill(signal);
    const patience = setTimeout(() => child.kill("SIGKILL"), GONE_MS);
    if (this.alive) await gone;
    clearTimeout(patience);
    await waitUntil(() => this.#pids().length === 0, { timeoutMs: GONE_MS, what: `${this.kind.name} to be gone` });
  }

  /** SIGSTOP of all its processes. */
  freeze(): void {
    for (const pid of this.#pids()) kill(pid, "SIGSTOP");
  }
  thaw(): void {
    for (const pid of this.#pids()) kill(pid, "SIGCONT");
  }

  /** Ends it and removes its data. */
  discard(): void {
    running.delete(this);
    for (const pid of this.#pids()) kill(pid, "SIGKILL");
    if (this.#hasDisk) unmount(this.folder);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The first process and its children. */
  #pids(): number[] {
    const pid = this.#process?.child.pid;
    if (pid === undefined || !this.alive) return [];
    const children = readOr(`/proc/${pid}/task/${pid}/children`).trim();
    return [pid, ...(children === "" ? [] : children.split(" ").map(Number))];
  }

  async #answers(): Promise<boolean> {
    try {
      return await within(takesWork(this.kind, this.port), { timeoutMs: PROBE_PATIENCE_MS, what: "an answer" });
    } catch {
      return false;
    }
  }
}

/** Whether a disk of a limited size can be had: as root, where mounting is allowed. */
export function canMountDisks(): boolean {
  if (process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), "agentbus-chaos-disk-"));
  try {
    mountDisk(folder, 1);
    unmount(folder);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes the folder a disk in memory of so many MiB. */
export function mountDisk(folder: string, sizeMiB: number): void {
  mkdirSync(folder, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m,mode=0755`, "tmpfs", folder], { stdio: "pipe" });
}

export function unmount(folder: string): void {
  // Lazily: a process that was just killed may still hold a file.
  execFileSync("umount", ["-l", folder], { stdio: "pipe" });
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
