import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BusNodes, type BusNodesOptions } from "../../support/bus-nodes.ts";
import { openTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";
import type { TestStorage } from "../../support/test-storage.ts";
import { waitUntil, within } from "../../support/wait.ts";
import { openClients, type WireClients } from "../../support/wire-clients.ts";
import { type BusSetup, RemoteBus } from "./remote-sdk.ts";
import { type Language, SdkProcess } from "./sdk-process.ts";

/** One thing that both SDKs must do, in the same way. */
export interface Scenario {
  /** The title of its test, led by the requirements that it proves. */
  readonly title: string;
  /** Unset: nothing. */
  readonly needs?: "shared storage";
  play(stage: Stage): Promise<void>;
}

let names = 0;
const PAGE = 1_000;
const ASK_EVERY_MS = 20;

/** What a node knows of what is shared: equal counts would not say that it is the same. Throws beyond one page. */
async function knowledgeOf({ agents, rooms }: WireClients): Promise<string> {
  const pages = await Promise.all([
    agents.listAgents({ pageSize: PAGE }),
    rooms.listRooms({ pageSize: PAGE }),
    rooms.listChannels({ pageSize: PAGE }),
  ]);
  if (pages.some(({ nextPageToken }) => nextPageToken !== "")) throw new Error(`more than ${PAGE} of a kind`);
  const [known, { rooms: all }, { channels }] = pages;
  return [
    ...known.agents.map(({ agentId, revision, state }) => `${agentId} ${revision} ${state}`),
    ...all.map(({ room, revision }) => `${room} ${revision}`),
    ...channels.map(({ room, channel, revision, memberCount }) => `${room}:${channel} ${revision} ${memberCount}`),
  ].join();
}

/** What a scenario has: nodes shared with the others, an SDK to talk to them with, and what it adds to that. */
export class Stage {
  /** Of the shared nodes, all of one bus. */
  readonly urls: readonly string[];
  readonly storage: TestStorage;
  readonly language: Language;
  readonly #sdk: SdkProcess;
  #opened = 0;
  readonly #endings: { readonly what: string; readonly end: () => Promise<unknown> }[] = [];

  constructor(nodes: BusNodes, storage: TestStorage, language: Language, sdk: SdkProcess) {
    this.urls = nodes.urls;
    this.storage = storage;
    this.language = language;
    this.#sdk = sdk;
  }

  /**
   * A client of the shared nodes, or of the given addresses. When there are several shared nodes its agents are on
   * different ones in turn, and so are its own calls: what one says the others hear from another node.
   */
  async open(options: Partial<BusSetup> = {}, sdk: SdkProcess = this.#sdk): Promise<RemoteBus> {
    const first = this.#opened++;
    const turns =
      options.urls === undefined ? this.urls.map((_url, turn) => this.#urlsFrom(first + turn)) : [options.urls];
    const bus = await RemoteBus.open(
      sdk,
      turns.map((urls) => ({ closeTimeoutMs: 1_000, ...options, urls })),
    );
    this.onEnd("the client to close", () => bus.close().catch(() => {}));
    return bus;
  }

  /** A name that no other scenario uses: they share a server and must not meet in it. */
  name(prefix: string): string {
    return `${prefix}-${++names}`;
  }

  /** A channel of a room of its own. */
  channel(): string {
    return `${this.name("room")}:talk`;
  }

  /** Nodes of another bus, on the stage's kind of storage. */
  async startNodes(options: Partial<BusNodesOptions> = {}): Promise<BusNodes> {
    const nodes = await BusNodes.start({ storage: this.storage, ...options });
    this.onEnd("the nodes to be killed", () => nodes.end());
    return nodes;
  }

  /** For what other nodes see within a second and not at once: asks until it is so. With one node: asks once. */
  async seen(look: () => Promise<void>): Promise<void> {
    if (this.urls.length === 1) return await look();
    let last: unknown;
    await waitUntil(
      () =>
        look().then(
          () => true,
          (error: unknown) => {
            last = error;
            return false;
          },
        ),
      { everyMs: ASK_EVERY_MS, what: () => (last instanceof Error ? last.message : String(last)) },
    );
  }

  /** What one node was told of rooms, channels and agents the others see within a second: waits until they have. */
  async settled(): Promise<void> {
    if (this.urls.length === 1) return;
    const clients = this.urls.map((url) => openClients(url));
    try {
      let known: readonly string[] = [];
      await waitUntil(
        async () => {
          known = await Promise.all(clients.map(knowledgeOf));
          return new Set(known).size === 1;
        },
        { everyMs: ASK_EVERY_MS, what: () => `the nodes to know the same; they know\n${known.join("\n")}` },
      );
    } finally {
      for (const client of clients) client.close();
    }
  }

  #urlsFrom(turn: number): string[] {
    return this.urls.map((_url, i) => this.urls[(turn + i) % this.urls.length]!);
  }

  /** A way to a server that can be cut. */
  async openProxy(
    targetPort: number = Number(new URL(this.urls[0]!).port),
  ): Promise<TcpProxy & { readonly url: string }> {
    const proxy = await openTcpProxy({ targetPort });
    this.onEnd("the proxy to close", () => proxy.close());
    return Object.assign(proxy, { url: `http://${proxy.host}:${proxy.port}` });
  }

  /** Another program with the same SDK. */
  async startSdk(): Promise<SdkProcess> {
    const sdk = await SdkProcess.start(this.language);
    this.onEnd("the program to be killed", () => sdk.kill());
    return sdk;
  }

  async folder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "agentbus-sdk-"));
    this.onEnd("the folder to go", () => rm(folder, { recursive: true, force: true }));
    return folder;
  }

  onEnd(what: string, end: () => Promise<unknown>): void {
    this.#endings.push({ what, end });
  }

  async end(): Promise<void> {
    for (const { what, end } of this.#endings.reverse()) await within(end(), { what });
  }
}
