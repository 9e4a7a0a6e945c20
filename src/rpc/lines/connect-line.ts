import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { AgentState } from "../../../gen/agentbus/v1/agent_pb.ts";
import { HeartbeatRequestSchema } from "../../../gen/agentbus/v1/agent_service_pb.ts";
import {
  type ConnectRequest,
  ConnectRequestSchema,
  ConnectResponseSchema,
  DoneSchema,
  GoAwaySchema,
  HelloSchema,
  type SubscribeRequest,
  SubscribeRequestSchema,
  WelcomeSchema,
} from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { MessageSchema } from "../../../gen/agentbus/v1/message_pb.ts";
import { JoinChannelRequestSchema, LeaveChannelRequestSchema } from "../../../gen/agentbus/v1/room_service_pb.ts";
import type { Bus } from "../../bus/bus.ts";
import type { AgentStream } from "../../bus/directory/registry.ts";
import type { PublishOutcome } from "../../bus/publishing/publisher.ts";
import type { Subscription } from "../../bus/reading/subscription.ts";
import type { AgentState as AgentStateName } from "../../core/agent.ts";
import { BusError } from "../../core/errors.ts";
import { FRAME_HEADER_BYTES } from "../../core/message-codec.ts";
import { channelName, checkName } from "../../core/names.ts";
import { answerHead, encodeAnswer } from "../../wire/encode-publish.ts";
import { type ScannedPublish, scanConnectPublish } from "../../wire/scan-publish.ts";
import { toBusError, toErrorMessage } from "../errors/error-status.ts";
import type { RequestValidator } from "../errors/validation.ts";
import { Violations } from "../errors/violations.ts";
import { subscribeInput } from "../translation/bus-translation.ts";
import { durationOf, timestampOf } from "../translation/wkt.ts";
import { encodeOutcome } from "./publish-line.ts";

export interface ConnectLineOptions {
  readonly bus: Bus;
  readonly validator: RequestValidator;
  /** The agent that acts, for the one a request names. Throws. */
  readonly actor: (agentId: string) => string;
  /** Takes one encoded ConnectResponse, in parts. False: wait for `drained`. */
  readonly send: (parts: readonly Uint8Array[]) => boolean;
  readonly finish: (error: BusError | undefined) => void;
  readonly onRelief: () => void;
}

interface LineSubscription {
  readonly id: number;
  readonly subscription: Subscription;
  credit: number;
}

/** What a subscription may send before the client says that it has read. */
export const INITIAL_CREDIT_BYTES = 1_048_576;
const MAX_CREDIT_BYTES = 16_777_216;
/** Fields of ConnectResponse. */
const PUBLISHED = 3;
const DELIVERY = 4;

/**
 * The server's side of one Connect line. Frames are taken one after another; a publish does not wait for the store, so
 * that many are in flight. Answers go at once; deliveries go while their subscription has credit and the line has room,
 * one frame of each subscription in turn.
 */
export class ConnectLine {
  readonly #options: ConnectLineOptions;
  readonly #violations: Violations;
  readonly #waiting: Buffer[] = [];
  readonly #subscriptions = new Map<number, LineSubscription>();
  /** The last one that was asked for: frames are taken one after another. */
  #opening: Subscription | undefined;
  #agentId = "";
  #stream: AgentStream | undefined;
  #busy = false;
  #inFlight = 0;
  #writable = true;
  #pumping = false;
  #ending = false;
  #finished = false;

  constructor(options: ConnectLineOptions) {
    this.#options = options;
    this.#violations = new Violations(options.bus.options.limits.protocolViolations, options.bus.clock);
  }

  get saturated(): boolean {
    return this.#waiting.length + this.#inFlight >= this.#options.bus.options.limits.streamInFlight;
  }

  /** One encoded ConnectRequest. */
  receive(payload: Buffer): void {
    if (this.#finished) return;
    this.#waiting.push(payload);
    void this.#run();
  }

  drained(): void {
    this.#writable = true;
    this.#pump();
  }

  /** The client sends no more: what is in flight is answered, then the line ends. */
  end(): void {
    this.#ending = true;
    this.#checkEnd();
  }

  goAway(graceMs: number): void {
    const value = create(GoAwaySchema, { graceDuration: durationOf(graceMs) });
    this.#answer(0, { case: "goAway", value });
  }

  /** The call is gone. */
  abandon(graceful: boolean): void {
    this.#finished = true;
    this.#waiting.length = 0;
    this.#opening?.close(graceful);
    for (const { subscription } of this.#subscriptions.values()) subscription.close(graceful);
    this.#subscriptions.clear();
    this.#stream?.close(graceful);
    this.#stream = undefined;
  }

  async #run(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#waiting.length > 0 && !this.#finished) {
        const wasSaturated = this.saturated;
        const work = this.#take(this.#waiting.shift()!);
        if (work !== undefined) await work;
        if (wasSaturated && !this.saturated) this.#options.onRelief();
      }
    } finally {
      this.#busy = false;
    }
    this.#checkEnd();
  }

  /** A promise when the next frame has to wait for this one. */
  #take(payload: Buffer): Promise<void> | undefined {
    let requestId = 0;
    try {
      const publish = scanConnectPublish(payload);
      if (publish !== undefined) {
        requestId = publish.requestId;
        return this.#publish(requestId, publish.publish);
      }
      const request = decode(payload);
      requestId = request.requestId;
      return this.#handle(request).catch((thrown: unknown) => this.#refuse(requestId, thrown));
    } catch (thrown) {
      this.#refuse(requestId, thrown);
      return undefined;
    }
  }

  #publish(requestId: number, request: ScannedPublish): Promise<void> | undefined {
    this.#requireHello();
    const { publisher } = this.#options.bus;
    const agentId = this.#sameAgent(request.agentId);
    const prepared = publisher.prepare({ ...request, agentId });
    const store = (ready: Awaited<typeof prepared>) => {
      this.#inFlight++;
      new Promise<PublishOutcome>((resolve) => resolve(publisher.store(ready)))
        .then((outcome) => this.#send([encodeAnswer(requestId, PUBLISHED, encodeOutcome(outcome))]))
        .catch((thrown: unknown) => this.#refuse(requestId, thrown))
        .finally(() => {
          const wasSaturated = this.saturated;
          this.#inFlight--;
          if (wasSaturated && !this.saturated) this.#options.onRelief();
          this.#checkEnd();
        });
    };
    if (prepared instanceof Promise) {
      return prepared.then(store, (thrown: unknown) => this.#refuse(requestId, thrown));
    }
    store(prepared);
    return undefined;
  }

  async #handle({ requestId, request }: ConnectRequest): Promise<void> {
    const { bus } = this.#options;
    if (request.case === "hello") return await this.#hello(requestId, this.#check(HelloSchema, request.value));
    this.#requireHello();
    switch (request.case) {
      case "subscribe":
        await this.#subscribe(requestId, this.#check(SubscribeRequestSchema, request.value));
        return;
      case "publish": {
        // Only when the frame holds more than a publish that this server knows.
        const messages = request.value.messages.map((message) => toBinary(MessageSchema, message));
        await this.#publish(requestId, { ...request.value, messages });
        return;
      }
      case "credit":
        this.#addCredit(request.value.subscribeId, request.value.bytes);
        return;
      case "unsubscribe": {
        const found = this.#subscriptions.get(request.value.subscribeId);
        found?.subscription.end("UNSUBSCRIBED", "the client asked for it");
        this.#done(requestId);
        return;
      }
      case "join":
      case "leave": {
        const schema = request.case === "join" ? JoinChannelRequestSchema : LeaveChannelRequestSchema;
        const { agentId, room, channel } = this.#check<typeof schema>(schema, request.value as never);
        checkName("room", room);
        checkName("channel", channel);
        const actor = this.#sameAgent(agentId);
        const name = channelName(room, channel);
        if (request.case === "join") {
          await bus.rooms.checkJoin(actor, name);
          await bus.agents.ensure(actor); // it may have expired since hello
        }
        await bus.rooms[request.case](actor, name);
        this.#done(requestId);
        return;
      }
      case "heartbeat": {
        const { agentId, state } = this.#check(HeartbeatRequestSchema, request.value);
        bus.agents.heartbeat(this.#sameAgent(agentId), STATE_NAMES[state]);
        this.#done(requestId);
        return;
      }
      default:
        throw new BusError("MALFORMED_REQUEST", "a frame on the line asks for nothing that this server knows");
    }
  }

  async #hello(requestId: number, { agentId, observe }: MessageShape<typeof HelloSchema>): Promise<void> {
    const { bus, actor } = this.#options;
    if (this.#agentId !== "") throw new BusError("MALFORMED_REQUEST", "the line was opened before: hello comes once");
    const agent = actor(agentId);
    await bus.agents.ensure(agent);
    this.#agentId = agent;
    if (!observe) this.#stream = bus.agents.openStream(agent, () => this.#finishLater());
    if (this.#finished) this.#stream?.close(false);
    this.#answer(requestId, {
      case: "welcome",
      value: create(WelcomeSchema, {
        nodeId: bus.options.nodeId,
        agentId: agent,
        serverTime: timestampOf(bus.clock.now()),
        initialCredit: INITIAL_CREDIT_BYTES,
      }),
    });
  }

  async #subscribe(requestId: number, request: SubscribeRequest): Promise<void> {
    if (requestId === 0 || this.#subscriptions.has(requestId)) {
      throw new BusError("MALFORMED_REQUEST", "a subscription is named by its request_id: give one that is not in use");
    }
    const agentId = this.#sameAgent(request.agentId);
    const input = subscribeInput(request, agentId);
    const subscription = await this.#options.bus.subscriptions.open(input, (opening) => {
      this.#opening = opening;
      if (this.#finished) opening.close(false);
    });
    this.#opening = undefined;
    if (this.#finished) return;
    this.#subscriptions.set(requestId, { id: requestId, subscription, credit: INITIAL_CREDIT_BYTES });
    subscription.onReady = () => this.#pump();
    this.#pump();
  }

  #addCredit(id: number, bytes: number): void {
    const found = this.#subscriptions.get(id);
    if (found === undefined) return;
    found.credit = Math.min(found.credit + bytes, MAX_CREDIT_BYTES);
    this.#pump();
  }

  /** Sends what subscriptions have, one frame of each in turn, while line and credit allow. */
  #pump(): void {
    if (this.#pumping || this.#finished) return;
    this.#pumping = true;
    try {
      let sent = true;
      while (sent && this.#writable && !this.#finished) {
        sent = false;
        for (const found of [...this.#subscriptions.values()]) {
          if (!this.#writable) break;
          if (this.#deliverOne(found)) sent = true;
        }
      }
    } finally {
      this.#pumping = false;
    }
  }

  #deliverOne(found: LineSubscription): boolean {
    // What a finished subscription still has is little, and nobody allows more for what is over.
    if (found.credit <= 0 && found.subscription.finished === undefined) return false;
    const frame = found.subscription.next();
    if (frame !== undefined) {
      const payload = frame.subarray(FRAME_HEADER_BYTES);
      found.credit -= payload.length;
      this.#send([answerHead(found.id, DELIVERY, payload.length), payload]);
      return true;
    }
    const { finished } = found.subscription;
    if (finished === undefined) return false;
    this.#subscriptions.delete(found.id);
    found.subscription.close(true);
    if (finished.error !== undefined) this.#refuse(found.id, finished.error);
    return true;
  }

  #check<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): MessageShape<Desc> {
    this.#options.validator.check(schema, message);
    return message;
  }

  #requireHello(): void {
    if (this.#agentId === "") throw new BusError("MALFORMED_REQUEST", "the first frame on a line must be hello");
  }

  /** A line speaks for one agent; a request may name it again, and nobody else. */
  #sameAgent(agentId: string): string {
    if (agentId === "" || agentId === this.#agentId) return this.#agentId;
    throw new BusError("AGENT_NOT_ALLOWED", `this line speaks for ${this.#agentId}; open another for another agent`);
  }

  #done(requestId: number): void {
    if (requestId !== 0) this.#answer(requestId, { case: "done", value: create(DoneSchema) });
  }

  #refuse(requestId: number, thrown: unknown): void {
    const error = toBusError(thrown, this.#options.bus.logger);
    this.#answer(requestId, { case: "error", value: toErrorMessage(error) });
    if (error.reason !== "MALFORMED_REQUEST") return;
    const tooMany = this.#violations.add();
    if (tooMany !== undefined) this.#finish(tooMany);
  }

  #answer(requestId: number, response: MessageShape<typeof ConnectResponseSchema>["response"]): void {
    this.#send([toBinary(ConnectResponseSchema, create(ConnectResponseSchema, { requestId, response }))]);
  }

  #send(parts: readonly Uint8Array[]): void {
    if (!this.#finished && !this.#options.send(parts)) this.#writable = false;
  }

  #checkEnd(): void {
    if (this.#ending && !this.#busy && this.#inFlight === 0 && this.#waiting.length === 0) this.#finish(undefined);
  }

  /** The agent's subscriptions are ended in the same turn: each still says why. */
  #finishLater(): void {
    this.#options.bus.clock.defer(() => this.#finish(undefined));
  }

  #finish(error: BusError | undefined): void {
    if (this.#finished) return;
    this.#pump();
    this.abandon(true);
    this.#options.finish(error);
  }
}

const STATE_NAMES: Readonly<Record<number, AgentStateName | undefined>> = {
  [AgentState.ONLINE]: "ONLINE",
  [AgentState.AWAY]: "AWAY",
  [AgentState.OFFLINE]: "OFFLINE",
  [AgentState.DRAINING]: "DRAINING",
};

function decode(payload: Buffer): ConnectRequest {
  try {
    return fromBinary(ConnectRequestSchema, payload);
  } catch (cause) {
    throw new BusError("MALFORMED_REQUEST", "a frame on the line is not a ConnectRequest", { cause });
  }
}
