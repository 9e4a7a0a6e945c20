import type { Socket } from "node:net";

/** Where a server is found on a machine, and how it is started for tests. */
export interface ServerProgram {
  readonly name: string;
  /** Programs it needs, by name; looked for on PATH and in `folders`. */
  readonly programs: readonly string[];
  /** Further folders, newest version last; `*` stands for a version. */
  readonly folders: readonly string[];
  /** Debian's package. */
  readonly aptPackage: string;
  /** System users to run as when we are root: the first that exists. These servers refuse root, or should not have it. */
  readonly users: readonly string[];
  readonly stopSignal: NodeJS.Signals;
  /** Prepares the data folder. Programs are paths, in the order of `programs`. */
  prepare?(place: Place): Command;
  serve(place: Place): Command;
  url(host: string, port: number): string;
  /** Whether a freshly connected server answers as one that takes work; the socket is closed behind it. */
  probe(socket: Socket, url: string): Promise<boolean>;
}

/** A server that tests and benches ask for by its name. */
export interface ServerKind extends ServerProgram {
  readonly name: ServerName;
  /** The environment variable with the URL of a server that is to be used as it is. */
  readonly variable: string;
  readonly docker: DockerImage;
}

export type ServerName = "redis" | "postgres" | "mariadb" | "nats";

export interface DockerImage {
  readonly image: string;
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  readonly args: (fsync: boolean) => readonly string[];
}

export interface Place {
  readonly programs: readonly string[];
  /** An empty folder of its own, owned by the server's user. */
  readonly folder: string;
  readonly port: number;
  /** What it acknowledges is on the disk. Off for speed where a test does not need it. */
  readonly fsync: boolean;
}

export type Command = readonly [program: string, ...args: readonly string[]];
