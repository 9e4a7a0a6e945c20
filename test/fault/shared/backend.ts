import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { StorageAdapter, StorageEnvironment } from "../../../src/storage/storage-adapter.ts";
import { testEnvironment } from "../../conformance/opened-storage.ts";
import type { OwnServer, StartServer } from "../../support/server-process.ts";
import { openTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";

/** What all adapters let their user set, in milliseconds. */
export interface Patience {
  readonly timeoutMs?: number;
  readonly connectTimeoutMs?: number;
}

/** How long a node of `openImpatient` waits for an answer: short, so that tests of what does not answer are soon over. */
export const TIMEOUT_MS = 2_000;
/** Of the others: no test waits for its end, so a machine that has other things to do fails none. */
const PATIENT_MS = 30_000;

/** A server of the test file's own, and the bus on it that one test is about: its prefix is new in each test. */
export interface Backend<Options extends Patience = Patience> {
  readonly server: OwnServer;
  readonly prefix: string;
  /** The server's address, or of a proxy in front of it. */
  url(port?: number): string;
  /** Another node of the bus, on real time, which waits for answers for long. It is closed when the test is over. */
  open(options?: Options, port?: number, over?: Partial<StorageEnvironment>): Promise<StorageAdapter>;
  openAt(url: string, options?: Options, over?: Partial<StorageEnvironment>): Promise<StorageAdapter>;
  /** In front of the server. */
  proxy(): Promise<TcpProxy>;
  /** Runs when the test is over, last come first. */
  after(undo: () => unknown): void;
}

/**
 * What the suites of this folder need of an adapter's server, behind the adapter's back. All of it is about the bus of the
 * running test; `log` is the log of the channel NAME of test/conformance/appending.ts.
 */
export interface FaultyBackend extends Backend {
  /** What problems call the server. */
  readonly product: string;
  /** Older data that was put back shows by itself; else it shows to nodes that have seen or heard of newer data. */
  readonly knowsOlderRows: boolean;
  /** Rings of one log that wait to be sent together go as one. */
  readonly mergesRings: boolean;
  /** A node that soon gives up on what does not answer. The port: as of `open`. */
  openImpatient(port?: number): Promise<StorageAdapter>;
  /** An impatient node that sends one command after the other over a single connection. */
  openSingle(port: number): Promise<StorageAdapter>;
  /** A node that lets no more than a megabyte of rings wait. */
  openNarrow(): Promise<StorageAdapter>;
  /** From now on the server has no room for messages and records, until the answered function is called. */
  fill(): Promise<() => Promise<unknown>>;
  /** From now on the server cannot store a message, by somebody's mistake. Answers what an error of it names. */
  breakAppends(): Promise<RegExp>;
  /**
   * For those who commit in several steps: the last one is held up from now on. `begun` resolves when one is, `end` lets
   * it go on. Unset: one message to the server is the whole commit.
   */
  holdCommits?(): Promise<{ begun(): Promise<unknown>; end(): Promise<unknown> }>;

  /** The log ends at `head`, as if what came later had never been stored. Each append was one message. */
  loseTail(head: number): Promise<void>;
  /** By the server's settings. It was started with SYNCED, and is so again when the test is over. */
  setDurability(level: "STORED" | "SYNCED"): Promise<void>;
  /** With all that the server keeps. */
  dataFolder(): Promise<string>;

  /** Keeps everything of the log as it is now. The answered function puts it back while the server and the nodes go on. */
  save(): Promise<() => Promise<unknown>>;

  /** A program that is newer than this one was here. */
  markNewer(): Promise<void>;
  /** What the adapter made before it stored anything, in short. */
  layout(): Promise<unknown>;
  /** Removes all of the bus, the layout, too. */
  removeAll(): Promise<void>;

  /** Changes one message in its body. */
  changeBody(sequence: number): Promise<void>;
  /** Removes messages that were stored by whole appends. */
  remove(first: number, last: number): Promise<void>;
  /** Changes what the directory keeps of a room, all other things being as they were. */
  changeRoom(id: string, part: "value" | "version"): Promise<void>;
}

export interface BackendSetup<Options> {
  readonly start: StartServer;
  /** In place of the one in the server's URL. */
  readonly database?: string;
  /** Called once, when the server runs. */
  readonly prepare?: (server: OwnServer) => Promise<void>;
  readonly open: (url: string, options: Options, environment: StorageEnvironment) => Promise<StorageAdapter>;
}

/** What storages are opened with here: the machine's time, because servers and links have no other. */
export function realTime(over: Partial<StorageEnvironment> = {}): StorageEnvironment {
  return { ...testEnvironment().environment, now: Date.now, ...over };
}

/** Starts the server before the tests, and after each one closes everything and sees to it that the server is well. */
export function useBackend<Options extends Patience>(setup: BackendSetup<Options>): Backend<Options> {
  let server: OwnServer;
  let prefix = "";
  const undoing: (() => unknown)[] = [];

  beforeAll(async () => {
    server = await setup.start();
    await setup.prepare?.(server);
  });
  afterAll(() => server?.discard());
  afterEach(async () => {
    server.thaw();
    await server.start();
    for (const undo of undoing.splice(0).reverse()) await undo();
    prefix = "";
  });

  const backend: Backend<Options> = {
    get server() {
      return server;
    },
    get prefix() {
      prefix ||= `fault_${randomBytes(6).toString("hex")}`;
      return prefix;
    },
    url(port = server.port) {
      const url = new URL(server.url);
      url.port = String(port);
      if (setup.database !== undefined) url.pathname = `/${setup.database}`;
      return url.href;
    },
    open: (options, port, over) => backend.openAt(backend.url(port), options, over),
    async openAt(url, options, over) {
      const patient = { prefix: backend.prefix, timeoutMs: PATIENT_MS, connectTimeoutMs: PATIENT_MS };
      const storage = await setup.open(url, { ...patient, ...(options as Options) }, realTime(over));
      undoing.push(() => storage.close());
      return storage;
    },
    async proxy() {
      const proxy = await openTcpProxy({ targetPort: server.port });
      undoing.push(() => proxy.close());
      return proxy;
    },
    after(undo) {
      undoing.push(undo);
    },
  };
  return backend;
}
