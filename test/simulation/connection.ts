import { fromBinary } from "@bufbuild/protobuf";
import { type SubscribeResponse, SubscribeResponseSchema } from "../../gen/agentbus/v1/bus_service_pb.ts";
import type { Bus } from "../../src/bus/bus.ts";
import type { Subscription } from "../../src/bus/reading/subscription.ts";
import type { SubscribeInput } from "../../src/bus/reading/subscriptions.ts";
import { BusError, isBusError } from "../../src/core/errors.ts";
import { FRAME_HEADER_BYTES } from "../../src/core/message-codec.ts";
import type { Dice } from "./dice.ts";
import type { Scheduler } from "./scheduler.ts";
import type { VirtualNode } from "./virtual-node.ts";

/** The connection broke, or the answer took too long: whether the call was carried out is unknown. */
export class ConnectionLost extends Error {}

export interface ConnectionOptions {
  readonly scheduler: Scheduler;
  readonly dice: Dice;
  /** Of one way, at most. */
  readonly latencyMs: number;
  /** A node failed in a way that it never may. */
  readonly fail: (error: unknown) => void;
}

/** How a stream ended, as its client sees it; undefined: on purpose. */
export type StreamEnd = ConnectionLost | BusError | undefined;

export interface StreamListener {
  response(response: SubscribeResponse): void;
  ended(cause: StreamEnd): void;
  /** How long the reader looks at one response before it takes the next. */
  thinksMs(): number;
}

/** What the node's side of a stream both ways may do. */
export interface DuplexLinks<Out> {
  readonly send: (answer: Out) => void;
  readonly end: (cause: StreamEnd) => void;
  readonly fail: (error: unknown) => void;
}

export interface DuplexService<In> {
  receive(request: In): void;
  /** The client is not there any more. */
  gone(): void;
}

/** A client gives up on an answer after this long. */
const CALL_MS = 6_000;
/** Responses under way to a client that has not taken them. */
const WINDOW = 4;
/** A client that hears nothing for so long takes the connection for dead. */
const SILENCE_MS = 6_000;
/** A peer that vanishes without a word is noticed after this long at most. */
const MAX_HALF_OPEN_MS = 8_000;

/** One client's connection to one life of one node. What is sent one way arrives in its order, until it is cut. */
export class Connection {
  readonly node: VirtualNode;
  readonly #options: ConnectionOptions;
  /** What the client's and the node's side do when they notice the cut. */
  readonly #clientEnds = new Set<() => void>();
  readonly #nodeEnds = new Set<() => void>();
  /** Nothing that is sent from now on arrives. */
  #isBroken = false;
  #isCut = false;
  #isCutForNode = false;
  #lastThere = 0;
  #lastBack = 0;

  constructor(node: VirtualNode, options: ConnectionOptions) {
    this.node = node;
    this.#options = options;
  }

  /** What is going on over it, as its client knows. */
  get isIdle(): boolean {
    return this.#clientEnds.size === 0;
  }

  /** The network breaks: each side notices for itself, sooner or later. */
  cut(): void {
    const { scheduler, dice } = this.#options;
    const noticed = () => (dice.chance(0.2) ? dice.between(0, MAX_HALF_OPEN_MS) : dice.between(0, 50));
    scheduler.after(noticed(), undefined, () => this.#cutForClient());
    scheduler.after(noticed(), this.node.party, () => this.#cutForNode());
    this.#isBroken = true;
  }

  /** Rejects with ConnectionLost or with what the node answers. */
  call<T>(ask: (bus: Bus) => T | Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const finish = (task: () => void) => {
        if (isOver) return;
        isOver = true;
        this.#clientEnds.delete(lost);
        stop();
        task();
      };
      const lost = () => finish(() => reject(new ConnectionLost("the connection broke")));
      const stop = this.#options.scheduler.after(CALL_MS, undefined, () =>
        finish(() => reject(new ConnectionLost("no answer in time"))),
      );
      if (this.#isCut) return lost();
      this.#clientEnds.add(lost);
      this.#there(() => {
        const { bus } = this.node;
        if (bus === undefined) return this.#back(() => lost());
        const answered = (task: () => void) => this.#back(() => finish(task));
        new Promise<T>((done) => done(ask(bus))).then(
          (value) => answered(() => resolve(value)),
          (error: unknown) => answered(() => reject(error)),
        );
      });
    });
  }

  /** Answers how the client closes the stream: in order, or by going away. */
  subscribe(input: SubscribeInput, listener: StreamListener): (graceful: boolean) => void {
    const { scheduler } = this.#options;
    let isOver = false;
    let heardAt = scheduler.now;
    const finish = (cause: StreamEnd) => {
      if (isOver) return;
      isOver = true;
      this.#clientEnds.delete(lost);
      listener.ended(cause);
    };
    const lost = () => finish(new ConnectionLost("the stream broke"));
    const watchSilence = () => {
      if (isOver) return;
      const leftMs = heardAt + SILENCE_MS - scheduler.now;
      if (leftMs > 0) scheduler.after(leftMs, undefined, watchSilence);
      else {
        this.cut();
        lost();
      }
    };
    if (this.#isCut) {
      scheduler.after(0, undefined, lost);
      return () => {};
    }
    this.#clientEnds.add(lost);
    scheduler.after(SILENCE_MS, undefined, watchSilence);
    const served = new ServedStream(this.#options, {
      send: (frame, taken) =>
        this.#back(() => {
          if (isOver) return;
          heardAt = scheduler.now;
          listener.response(fromBinary(SubscribeResponseSchema, frame.subarray(FRAME_HEADER_BYTES)));
          scheduler.after(listener.thinksMs(), undefined, () => this.#there(taken));
        }),
      end: (error) => this.#back(() => finish(error)),
      node: this.node,
    });
    const leave = () => served.close(false);
    this.#nodeEnds.add(leave);
    this.#there(() => void served.open(input).finally(() => served.isClosed && this.#nodeEnds.delete(leave)));
    return (graceful) => {
      if (isOver) return;
      isOver = true;
      this.#clientEnds.delete(lost);
      this.#there(() => served.close(graceful));
    };
  }

  /** A stream both ways. `serve` runs on the node, which sends and ends through `links`. */
  duplex<In, Out>(
    serve: (bus: Bus, links: DuplexLinks<Out>) => DuplexService<In>,
    listener: { readonly answer: (answer: Out) => void; readonly ended: (cause: StreamEnd) => void },
  ): { readonly send: (request: In) => void; readonly close: () => void } {
    let isOver = false;
    const finish = (cause: StreamEnd) => {
      if (isOver) return;
      isOver = true;
      this.#clientEnds.delete(lost);
      listener.ended(cause);
    };
    const lost = () => finish(new ConnectionLost("the stream broke"));
    if (this.#isCut) this.#options.scheduler.after(0, undefined, lost);
    else this.#clientEnds.add(lost);
    let service: DuplexService<In> | undefined;
    const gone = () => service?.gone();
    this.#nodeEnds.add(gone);
    this.#there(() => {
      const { bus } = this.node;
      const end = (cause: StreamEnd) => {
        this.#nodeEnds.delete(gone);
        this.#back(() => finish(cause));
      };
      if (bus === undefined) return end(new BusError("DRAINING", "this node does not serve yet"));
      const send = (answer: Out) => this.#back(() => isOver || listener.answer(answer));
      service = serve(bus, { send, end, fail: this.#options.fail });
    });
    return {
      send: (request) => this.#there(() => service?.receive(request)),
      close: () => {
        isOver = true;
        this.#clientEnds.delete(lost);
        this.#there(() => {
          this.#nodeEnds.delete(gone);
          gone();
        });
      },
    };
  }

  #there(task: () => void): void {
    const { scheduler, dice, latencyMs } = this.#options;
    this.#lastThere = Math.max(this.#lastThere, scheduler.now + dice.between(0, latencyMs));
    if (this.#isBroken) return;
    scheduler.after(this.#lastThere - scheduler.now, this.node.party, () => {
      if (!this.#isCutForNode) task();
    });
  }

  #back(task: () => void): void {
    const { scheduler, dice, latencyMs } = this.#options;
    this.#lastBack = Math.max(this.#lastBack, scheduler.now + dice.between(0, latencyMs));
    if (this.#isBroken) return;
    scheduler.after(this.#lastBack - scheduler.now, undefined, () => {
      if (!this.#isCut) task();
    });
  }

  #cutForClient(): void {
    if (this.#isCut) return;
    this.#isCut = true;
    for (const end of [...this.#clientEnds]) end();
    this.#clientEnds.clear();
  }

  #cutForNode(): void {
    if (this.#isCutForNode) return;
    this.#isCutForNode = true;
    for (const end of [...this.#nodeEnds]) end();
    this.#nodeEnds.clear();
  }
}

interface ServedStreamLinks {
  readonly node: VirtualNode;
  /** `taken` is called on the node when the client has taken the frame. */
  readonly send: (frame: Uint8Array, taken: () => void) => void;
  readonly end: (error: BusError | undefined) => void;
}

/** The node's side of one stream: as the transports of src/rpc treat a subscription. */
class ServedStream {
  isClosed = false;
  readonly #options: ConnectionOptions;
  readonly #links: ServedStreamLinks;
  #subscription: Subscription | undefined;
  #closeGracefully = false;
  #underway = 0;
  #isPumping = false;

  constructor(options: ConnectionOptions, links: ServedStreamLinks) {
    this.#options = options;
    this.#links = links;
  }

  async open(input: SubscribeInput): Promise<void> {
    const { node, end } = this.#links;
    if (node.bus === undefined) {
      this.isClosed = true;
      return end(new BusError("DRAINING", "this node does not serve yet"));
    }
    try {
      const subscription = await node.bus.subscriptions.open(input, (opening) => {
        this.#subscription = opening;
        if (this.isClosed) opening.close(this.#closeGracefully);
      });
      subscription.onReady = () => this.#pumpLater();
      this.#pumpLater();
    } catch (error) {
      this.isClosed = true;
      if (isBusError(error)) end(error);
      else this.#options.fail(error);
    }
  }

  close(graceful: boolean): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#closeGracefully = graceful;
    this.#subscription?.close(graceful);
  }

  #pumpLater(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#options.scheduler.after(0, this.#links.node.party, () => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    const subscription = this.#subscription;
    while (subscription !== undefined && !this.isClosed && this.#underway < WINDOW) {
      const frame = subscription.next();
      if (frame !== undefined) {
        this.#underway++;
        this.#links.send(frame, () => {
          this.#underway--;
          this.#pumpLater();
        });
      } else if (subscription.finished !== undefined) {
        this.isClosed = true;
        this.#links.end(subscription.finished.error);
        subscription.close(true);
      } else return;
    }
  }
}
