import type { AgentBus } from "agentbus/node";
import { createSeededRandom } from "../../test/support/seeded-random.ts";
import type { ChannelHistories } from "./channel-histories.ts";
import type { Cluster } from "./cluster.ts";
import { paceOf } from "./pacing.ts";
import { runStreamProducer, runUnaryProducer } from "./producer.ts";
import { PythonClients, type PythonReader } from "./python-clients.ts";
import { Reader, type ReaderOptions } from "./reader.ts";
import { openSdk, runSdkProducer, SdkReader } from "./sdk-client.ts";
import type { ServiceWatch } from "./service-watch.ts";
import { runSingleShots } from "./single-shots.ts";
import { END_PREFIX, FLEETING, keyOf, MIXED, ROOM, type StagePlan } from "./stage-plan.ts";
import { createWorkload } from "./workload.ts";

export interface LoadOptions {
  readonly cluster: Cluster;
  readonly history: ChannelHistories;
  readonly watch: ServiceWatch;
  readonly plan: StagePlan;
  readonly seed: number;
  /** Messages a second, of all producers. */
  readonly rate: number;
  /** Where the Python program writes down what it sees. */
  readonly pythonHistory: string;
}

const MEAN_WIRE_BATCH = 4.5;
/** Producers that share the rate. */
const PRODUCERS = 6;
const SINGLE_SHOTS_PER_SECOND = 10;

interface ReaderEnds {
  readonly reads: readonly string[];
  readonly seen: Set<string>;
}

/** Everybody who sends and reads in a run, over the wire and over both SDKs. */
export class Load {
  /** Rejects when a client meets what no fault explains; else it stays pending. */
  readonly failed: Promise<never>;
  readonly #options: LoadOptions;
  readonly #random: () => number;
  readonly #stopProducers = new AbortController();
  readonly #stopReaders = new AbortController();
  readonly #abandon = new AbortController();
  readonly #producing: Promise<void>[] = [];
  readonly #reading: Promise<void>[] = [];
  readonly #sdks: AgentBus[] = [];
  readonly #sdkReaders: SdkReader[] = [];
  /** What each reader has to read to the end, and where it is there. */
  readonly #ends = new Map<string, ReaderEnds>();
  readonly #fail: (error: unknown) => void;
  #python: PythonClients | undefined;
  #clients = 0;

  private constructor(options: LoadOptions) {
    this.#options = options;
    this.#random = createSeededRandom(options.seed);
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.failed = promise;
    this.#fail = reject;
  }

  static async start(options: LoadOptions): Promise<Load> {
    const load = new Load(options);
    load.#startWireClients();
    load.#startSdkClients();
    await load.#startPythonClients();
    for (const done of [...load.#producing, ...load.#reading]) done.catch(load.#fail);
    return load;
  }

  /** Sends nothing new; resolves when all that was sent is known to be stored. */
  async finish(): Promise<void> {
    this.#stopProducers.abort();
    await Promise.race([this.failed, Promise.all([...this.#producing, this.#python!.finish()])]);
  }

  /** Who has not read this channel's end, or any channel's: "reader of channel". */
  get unfinished(): readonly string[] {
    return [...this.#ends].flatMap(([name, { reads, seen }]) =>
      reads.filter((channel) => !seen.has(channel)).map((channel) => `${name} of ${channel}`),
    );
  }

  get readers(): readonly string[] {
    return [...this.#ends.keys()];
  }

  /** All clients leave. */
  async stop(): Promise<void> {
    this.#stopReaders.abort();
    await this.#python?.stop();
    for (const reader of this.#sdkReaders) await reader.close();
    await Promise.all(this.#sdks.map((sdk) => sdk.close()));
    await Promise.all(this.#reading);
  }

  /** Ends everything at once, for a run that failed. */
  async abandon(): Promise<void> {
    this.#abandon.abort(new Error("the run was given up"));
    this.#stopProducers.abort();
    this.#stopReaders.abort();
    this.#python?.kill();
    await Promise.allSettled(this.#sdkReaders.map((reader) => reader.close()));
    // What they still try to send is given up.
    for (const sdk of this.#sdks) void sdk.close().catch(() => {});
  }

  #seed(): number {
    return Math.floor(this.#random() * 2 ** 32);
  }

  #startWireClients(): void {
    const { cluster, history, watch, rate, plan } = this.#options;
    const writers = [
      { name: "ann-stream", agent: "ann", run: runStreamProducer, targets: plan.open },
      { name: "ben-stream", agent: "ben", run: runStreamProducer, targets: plan.mixed },
      { name: "ben-unary", agent: "ben", run: runUnaryProducer, targets: plan.mixed },
      { name: "dot-unary", agent: "dot", run: runUnaryProducer, targets: plan.mixed },
    ];
    for (const { name, agent, run, targets } of writers) {
      const writer = { agent, producer: name };
      watch.expect(name);
      this.#producing.push(
        run({
          url: cluster.addresses(this.#clients++),
          history,
          writer,
          next: createWorkload(writer, targets, createSeededRandom(this.#seed())),
          stop: this.#stopProducers.signal,
          abandon: this.#abandon.signal,
          onAck: (messages) => watch.onAcked(name, messages),
          pace: paceOf(rate / PRODUCERS, MEAN_WIRE_BATCH, createSeededRandom(this.#seed())),
        }),
      );
    }
    this.#producing.push(
      runSingleShots({
        url: cluster.addresses(this.#clients++),
        history,
        seed: this.#seed(),
        perSecond: SINGLE_SHOTS_PER_SECOND,
        stop: this.#stopProducers.signal,
      }),
    );
    const breakOffs = createSeededRandom(this.#seed());
    const { stored } = plan;
    this.#readOverWire("cid-exact", "cid", stored, { request: { channels: [...stored] } });
    this.#readOverWire("dot-pattern", "dot", [...stored, keyOf(FLEETING)], {
      request: { patterns: [`${ROOM}:*`] },
      wire: { protocol: "connect" },
    });
    // Its inbox and what it joined.
    this.#readOverWire("cid-joined", "cid", ["_inbox:cid", keyOf(MIXED)], {
      request: {},
      wire: { protocol: "grpc-web" },
    });
    const reads = [...stored, "_inbox:eve"];
    this.#readOverWire("eve-leaving", "eve", reads, {
      request: { channels: reads, maxMessages: 3 },
      breakOffAfter: () => 5 + Math.floor(breakOffs() * 200),
    });
  }

  #readOverWire(
    name: string,
    agent: string,
    reads: readonly string[],
    rest: Pick<ReaderOptions, "request" | "wire" | "breakOffAfter">,
  ): void {
    const { cluster, history, watch } = this.#options;
    watch.expect(name);
    this.#ends.set(name, { reads, seen: new Set() });
    const reader = new Reader({
      url: cluster.addresses(this.#clients++),
      history,
      reader: name,
      agent,
      stop: this.#stopReaders.signal,
      onOpened: () => watch.onOpened(name),
      onCut: () => watch.onCut(name),
      onMessage: (channel, id, acceptedAtMs) => {
        watch.onRead(name, acceptedAtMs);
        this.#take(name, channel, id);
      },
      ...rest,
    });
    this.#reading.push(reader.run());
  }

  #startSdkClients(): void {
    const { cluster, history, watch, rate, plan } = this.#options;
    const open = () => {
      const sdk = openSdk(cluster.urls, this.#clients++);
      this.#sdks.push(sdk);
      return sdk;
    };
    const writer = { agent: "fay", producer: "fay-sdk" };
    watch.expect(writer.producer);
    this.#producing.push(
      runSdkProducer({
        bus: open(),
        history,
        watch,
        name: writer.producer,
        agent: writer.agent,
        next: createWorkload(writer, plan.mixed, createSeededRandom(this.#seed())),
        pace: paceOf(rate / PRODUCERS, MEAN_WIRE_BATCH, createSeededRandom(this.#seed())),
        stop: this.#stopProducers.signal,
      }),
    );
    const keys = plan.stored;
    const listeners = [
      { name: "fay-sdk-pattern", agent: "fay", reads: { patterns: [`${ROOM}:*`] }, ends: [...keys, keyOf(FLEETING)] },
      { name: "eve-sdk", agent: "eve", reads: { channels: [...keys, "_inbox:eve"] }, ends: [...keys, "_inbox:eve"] },
    ];
    for (const { name, agent, reads, ends } of listeners) {
      watch.expect(name);
      this.#ends.set(name, { reads: ends, seen: new Set() });
      const onMessage = (channel: string, id: string) => this.#take(name, channel, id);
      const reader = new SdkReader({ bus: open(), history, watch, name, agent, reads, onMessage });
      this.#sdkReaders.push(reader);
      this.#reading.push(reader.done);
    }
  }

  async #startPythonClients(): Promise<void> {
    const { cluster, watch, rate, plan, pythonHistory } = this.#options;
    const targets = plan.mixed.map(({ room, channel, to }) => ({
      ...(room === "" ? {} : { channel: `${room}:${channel}` }),
      ...(to === undefined ? {} : { to }),
    }));
    const producers = [{ name: "gus-python", agent: "gus", rate: rate / PRODUCERS, targets }];
    const keys = plan.stored;
    const readers: readonly (PythonReader & { readonly ends: readonly string[] })[] = [
      { name: "gus-python-exact", agent: "gus", channels: keys, endPrefix: END_PREFIX, ends: keys },
      { name: "cid-python-joined", agent: "cid", endPrefix: END_PREFIX, ends: ["_inbox:cid", keyOf(MIXED)] },
      {
        name: "hal-python-pattern",
        agent: "hal",
        patterns: ["**"],
        endPrefix: END_PREFIX,
        ends: [...keys, keyOf(FLEETING)],
      },
    ];
    for (const { name } of [...producers, ...readers]) watch.expect(name);
    for (const { name, ends } of readers) this.#ends.set(name, { reads: ends, seen: new Set() });
    this.#python = await PythonClients.start({
      urls: cluster.urls,
      seed: this.#seed(),
      history: pythonHistory,
      producers,
      readers: readers.map(({ ends: _, ...reader }) => reader),
      watch,
      onEnd: (reader, channel) => void this.#ends.get(reader)?.seen.add(channel),
    });
    this.#python.failed.catch(this.#fail);
  }

  #take(reader: string, channel: string, id: string): void {
    if (id.startsWith(END_PREFIX)) this.#ends.get(reader)?.seen.add(channel);
  }
}
