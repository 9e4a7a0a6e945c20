import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BusProcess, type BusProcessOptions, startBus } from "../../support/bus-process.ts";
import { openTcpProxy, type TcpProxy } from "../../support/tcp-proxy.ts";
import { within } from "../../support/wait.ts";
import { type BusSetup, RemoteBus } from "./remote-sdk.ts";
import { type Language, SdkProcess } from "./sdk-process.ts";

/** One thing that both SDKs must do, in the same way. */
export interface Scenario {
  /** The title of its test, led by the requirements that it proves. */
  readonly title: string;
  play(stage: Stage): Promise<void>;
}

let names = 0;

/** What a scenario has: a server on memory shared with the others, an SDK to talk to it with, and what it adds to that. */
export class Stage {
  /** Of the shared server. */
  readonly url: string;
  readonly language: Language;
  readonly #sdk: SdkProcess;
  readonly #endings: { readonly what: string; readonly end: () => Promise<unknown> }[] = [];

  constructor(url: string, language: Language, sdk: SdkProcess) {
    this.url = url;
    this.language = language;
    this.#sdk = sdk;
  }

  /** A client of the shared server, or of the given addresses. */
  async open(options: Partial<BusSetup> = {}, sdk: SdkProcess = this.#sdk): Promise<RemoteBus> {
    const bus = await RemoteBus.open(sdk, { urls: [this.url], closeTimeoutMs: 1_000, ...options });
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

  /** Another server. */
  async startBus(options: BusProcessOptions): Promise<BusProcess> {
    const bus = await startBus(options);
    this.onEnd("the server to be killed", () => bus.kill());
    return bus;
  }

  /** A way to a server that can be cut. */
  async openProxy(targetPort: number = Number(new URL(this.url).port)): Promise<TcpProxy & { readonly url: string }> {
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
