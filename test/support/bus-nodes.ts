import { type BusProcess, type BusProcessOptions, startBus } from "./bus-process.ts";
import type { FreshStorage, TestStorage } from "./test-storage.ts";

export interface BusNodesOptions extends Omit<BusProcessOptions, "port" | "comesBack"> {
  readonly storage: TestStorage;
  /** Nodes that are started at once. Default: 1. */
  readonly count?: number;
  /** Leads a node's way to the backend elsewhere, for example through a proxy. */
  readonly storageUrl?: (url: string, node: number) => string;
}

/** Nodes of one bus, each a process, on one storage in which nothing was kept when they started. */
export class BusNodes {
  readonly #options: BusNodesOptions;
  readonly #storage: FreshStorage;
  readonly #nodes: BusProcess[] = [];

  private constructor(options: BusNodesOptions, storage: FreshStorage) {
    this.#options = options;
    this.#storage = storage;
  }

  static async start(options: BusNodesOptions): Promise<BusNodes> {
    const nodes = new BusNodes(options, await options.storage.fresh());
    const starts = Array.from({ length: options.count ?? 1 }, (_, node) => nodes.start(node));
    const failure = (await Promise.allSettled(starts)).find((start) => start.status === "rejected");
    if (failure === undefined) return nodes;
    await nodes.end();
    throw failure.reason;
  }

  /** Nodes that were started, those that have ended since included, in their order. */
  get all(): readonly BusProcess[] {
    return this.#nodes;
  }

  get urls(): readonly string[] {
    return this.#nodes.map((node) => node.url);
  }

  get storageUrl(): string {
    return this.#storage.url;
  }

  /** One more, or one that ended, again at its address. Nodes are called node-0, node-1, and so on. */
  async start(node: number = this.#nodes.length, options: BusProcessOptions = {}): Promise<BusProcess> {
    const { args = [], storageUrl = (url: string) => url } = this.#options;
    const own = ["--storage", storageUrl(this.#storage.url, node), "--node-id", `node-${node}`];
    const started = await startBus({
      ...this.#options,
      comesBack: true,
      ...(this.#nodes[node] === undefined ? {} : { port: this.#nodes[node].port }),
      ...options,
      args: [...own, ...args, ...(options.args ?? [])],
    });
    this.#nodes[node] = started;
    return started;
  }

  /** Kills one, with no chance to say or write anything. */
  async kill(node: number): Promise<void> {
    await this.#nodes[node]!.kill();
  }

  /** Kills all and removes what they kept. */
  async end(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node?.kill())); // one that did not start leaves its place empty
    await this.#storage.remove();
  }
}
