import { type BusProcess, type Exit, startBus } from "../../test/support/bus-process.ts";
import { openTcpProxy, type TcpProxy } from "../../test/support/tcp-proxy.ts";

export interface ClusterOptions {
  readonly nodes: number;
  /** The storage URL of a node that reaches the backend by this port; the port means nothing to memory and file. */
  readonly storageUrl: (port: number) => string;
  /** Unset: memory or file, there is nothing between node and storage. */
  readonly backendPort?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly seed: number;
}

/** Nodes in processes of their own; a proxy in front of each for its clients, and one between it and the backend. */
export class Cluster {
  readonly nodes: readonly ClusterNode[];

  private constructor(nodes: readonly ClusterNode[]) {
    this.nodes = nodes;
  }

  static async open(options: ClusterOptions): Promise<Cluster> {
    const nodes: ClusterNode[] = [];
    try {
      // One after another: ports of the first are taken when the second looks for its own.
      for (let number = 1; number <= options.nodes; number++) nodes.push(await ClusterNode.open(number, options));
      return new Cluster(nodes);
    } catch (error) {
      for (const node of nodes) await node.close();
      throw error;
    }
  }

  /** Where clients find the nodes, each through its proxy. */
  get urls(): readonly string[] {
    return this.nodes.map((node) => node.url);
  }

  /** The addresses in turn, beginning with the given one: each call answers the next. */
  addresses(first: number): () => string {
    let next = first;
    return () => this.urls[next++ % this.nodes.length]!;
  }

  async close(): Promise<void> {
    for (const node of this.nodes) await node.close();
  }
}

/** A start may have to wait for a backend that is away or frozen. */
const START_MS = 120_000;

export class ClusterNode {
  readonly name: string;
  readonly clients: TcpProxy;
  readonly backend: TcpProxy | undefined;
  readonly #port: number;
  readonly #args: readonly string[];
  readonly #env: Readonly<Record<string, string>>;
  readonly #over = new AbortController();
  /** Undefined while it is down or starts. */
  #process: BusProcess | undefined;

  private constructor(setup: NodeSetup, process: BusProcess, clients: TcpProxy) {
    this.name = setup.name;
    this.backend = setup.backend;
    this.clients = clients;
    this.#args = setup.args;
    this.#env = setup.env;
    this.#process = process;
    this.#port = process.port;
  }

  static async open(number: number, options: ClusterOptions): Promise<ClusterNode> {
    const { backendPort, seed, storageUrl, env = {} } = options;
    const name = `node-${number}`;
    const backend =
      backendPort === undefined ? undefined : await openTcpProxy({ targetPort: backendPort, seed: seed + number });
    const args = ["--node-id", name, "--storage", storageUrl(backend?.port ?? 0)];
    const process = await startBus({ args, env, comesBack: true, startMs: START_MS });
    const clients = await openTcpProxy({ targetPort: process.port, seed: seed + 100 + number });
    return new ClusterNode({ name, backend, args, env }, process, clients);
  }

  get url(): string {
    return `http://${this.clients.host}:${this.clients.port}`;
  }
  /** Past the proxy. */
  get directUrl(): string {
    return `http://127.0.0.1:${this.#port}`;
  }
  get isUp(): boolean {
    return this.#process !== undefined;
  }
  /** The last lines it logged that are worth a look. */
  get complaints(): readonly string[] {
    const loud = (this.#process?.log ?? []).filter(({ level }) => level !== "info" && level !== "debug");
    return loud.slice(-20).map((line) => JSON.stringify(line));
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    await process?.kill();
  }

  /** SIGTERM: it drains. */
  async stop(): Promise<Exit | undefined> {
    const process = this.#process;
    this.#process = undefined;
    return await process?.stop(60_000);
  }

  /** Starts again at the same address. */
  async start(): Promise<void> {
    this.#over.signal.throwIfAborted();
    const signal = this.#over.signal;
    this.#process = await startBus({
      args: this.#args,
      env: this.#env,
      port: this.#port,
      startMs: START_MS,
      signal,
    });
  }

  freeze(): void {
    this.#process?.freeze();
  }
  thaw(): void {
    this.#process?.thaw();
  }

  async close(): Promise<void> {
    this.#over.abort(new Error("the run is over"));
    await this.kill();
    await this.clients.close();
    await this.backend?.close();
  }
}

interface NodeSetup {
  readonly name: string;
  readonly backend: TcpProxy | undefined;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}
