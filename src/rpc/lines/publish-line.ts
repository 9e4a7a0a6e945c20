import { toBinary } from "@bufbuild/protobuf";
import { ErrorSchema } from "../../../gen/agentbus/v1/error_pb.ts";
import type { Prepared, Publisher, PublishInput, PublishOutcome } from "../../bus/publishing/publisher.ts";
import type { Clock } from "../../core/clock.ts";
import { BusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { encodeAnswer, encodePublishResponse } from "../../wire/encode-publish.ts";
import { type ScannedPublish, scanStreamPublish } from "../../wire/scan-publish.ts";
import { toBusError, toErrorMessage } from "../errors/error-status.ts";
import { Violations } from "../errors/violations.ts";
import { AnswerQueue } from "./answer-queue.ts";

export interface PublishLineOptions {
  readonly publisher: Publisher;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Requests that are worked on at the same time. */
  readonly maxInFlight: number;
  readonly maxViolations: number;
  /** The agent that acts, for the one a request names. Throws. */
  readonly actor: (agentId: string) => string;
  /** Takes one encoded PublishStreamResponse. */
  readonly send: (answer: Uint8Array) => void;
  /** The stream is over: with this error, or because everything was answered after `end`. */
  readonly finish: (error: BusError | undefined) => void;
  /** Room again for requests after `saturated`. */
  readonly onRelief: () => void;
}

/** Fields of PublishStreamResponse. */
const PUBLISHED = 2;
const ERROR = 3;

/**
 * The server's side of one PublishStream. Requests are prepared one after another and handed to the store in that order
 * without waiting for it; answers go back in the order of the requests. After a failure that a retry can heal, nothing
 * else is taken until that request comes again: so a producer's order holds over failures.
 */
export class PublishLine {
  readonly #options: PublishLineOptions;
  readonly #answers: AnswerQueue;
  readonly #violations: Violations;
  readonly #waiting: Buffer[] = [];
  #preparing = false;
  /** The request that must come again first. */
  #resendFrom: number | undefined;
  #ending = false;
  #leaving = false;
  #finished = false;

  constructor(options: PublishLineOptions) {
    this.#options = options;
    this.#answers = new AnswerQueue((answer) => {
      if (!this.#finished) options.send(answer);
    });
    this.#violations = new Violations(options.maxViolations, options.clock);
  }

  /** The transport shall stop reading until onRelief. */
  get saturated(): boolean {
    return this.#answers.size + this.#waiting.length >= this.#options.maxInFlight;
  }

  /** One encoded PublishStreamRequest. */
  receive(payload: Buffer): void {
    if (this.#finished || this.#leaving) return;
    this.#waiting.push(payload);
    this.#run();
  }

  /** The client sends no more. */
  end(): void {
    this.#ending = true;
    this.#checkEnd();
  }

  /**
   * The node is leaving: what is with the store is still answered, then the stream ends with DRAINING. What was not taken
   * gets no answer, and the client sends it again elsewhere, in order.
   */
  goAway(): void {
    this.#leaving = true;
    this.#waiting.length = 0;
    this.#checkEnd();
  }

  /** The call is gone: what is in flight is stored, nobody is answered. */
  abandon(): void {
    this.#finished = true;
    this.#waiting.length = 0;
  }

  #run(): void {
    while (this.#waiting.length > 0 && !this.#preparing && !this.#finished) this.#take(this.#waiting.shift()!);
  }

  #take(payload: Buffer): void {
    let requestId = 0;
    let settle: ((answer: Uint8Array) => void) | undefined;
    try {
      const request = scanStreamPublish(payload);
      requestId = request.requestId;
      settle = this.#answers.reserve();
      if (requestId === 0 || request.publish === undefined) throw incomplete(requestId);
      this.#checkOrder(requestId);
      const prepared = this.#options.publisher.prepare(this.#inputOf(request.publish));
      if (prepared instanceof Promise) this.#waitFor(prepared, requestId, settle);
      else this.#store(prepared, requestId, settle);
    } catch (thrown) {
      const error = toBusError(thrown, this.#options.logger);
      this.#refuse(error, requestId, settle ?? this.#answers.reserve());
      if (error.reason === "MALFORMED_REQUEST") this.#violated();
    }
  }

  #inputOf(publish: ScannedPublish): PublishInput {
    return { ...publish, agentId: this.#options.actor(publish.agentId) };
  }

  #checkOrder(requestId: number): void {
    if (this.#resendFrom === undefined || requestId < this.#resendFrom) return;
    if (requestId > this.#resendFrom) {
      throw new BusError("RESEND_REQUIRED", `request ${this.#resendFrom} was refused: send it again first`);
    }
    this.#resendFrom = undefined;
  }

  #waitFor(prepared: Promise<Prepared>, requestId: number, settle: (answer: Uint8Array) => void): void {
    this.#preparing = true;
    prepared
      .then(
        (ready) => this.#storeUnlessRefused(ready, requestId, settle),
        (thrown: unknown) => this.#refuse(toBusError(thrown, this.#options.logger), requestId, settle),
      )
      .finally(() => {
        this.#preparing = false;
        this.#run();
        this.#checkEnd();
      });
  }

  /** A request before it may have failed in the store while it was prepared: that one must come again first. */
  #storeUnlessRefused(prepared: Prepared, requestId: number, settle: (answer: Uint8Array) => void): void {
    try {
      this.#checkOrder(requestId);
    } catch (thrown) {
      this.#refuse(toBusError(thrown, this.#options.logger), requestId, settle);
      return;
    }
    this.#store(prepared, requestId, settle);
  }

  #store(prepared: Prepared, requestId: number, settle: (answer: Uint8Array) => void): void {
    const answer = (outcome: PublishOutcome) =>
      this.#settle(settle, encodeAnswer(requestId, PUBLISHED, encodeOutcome(outcome)));
    const refuse = (thrown: unknown) => this.#refuse(toBusError(thrown, this.#options.logger), requestId, settle);
    try {
      const outcome = this.#options.publisher.store(prepared);
      if (outcome instanceof Promise) outcome.then(answer, refuse);
      else answer(outcome);
    } catch (thrown) {
      refuse(thrown);
    }
  }

  #refuse(error: BusError, requestId: number, settle: (answer: Uint8Array) => void): void {
    const blocks = error.retry === "SAME" && error.reason !== "RESEND_REQUIRED" && requestId !== 0;
    if (blocks && (this.#resendFrom === undefined || requestId < this.#resendFrom)) this.#resendFrom = requestId;
    this.#settle(settle, encodeAnswer(requestId, ERROR, toBinary(ErrorSchema, toErrorMessage(error))));
  }

  #settle(settle: (answer: Uint8Array) => void, answer: Uint8Array): void {
    const saturated = this.saturated;
    settle(answer);
    if (saturated && !this.saturated) this.#options.onRelief();
    this.#checkEnd();
  }

  #violated(): void {
    const error = this.#violations.add();
    if (error !== undefined) this.#finish(error);
  }

  #checkEnd(): void {
    if (this.#answers.size > 0 || this.#waiting.length > 0) return;
    if (this.#leaving) this.#finish(new BusError("DRAINING", "this node is leaving; connect again"));
    else if (this.#ending) this.#finish(undefined);
  }

  #finish(error: BusError | undefined): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#options.finish(error);
  }
}

export function encodeOutcome({ results, durability }: PublishOutcome): Buffer {
  return encodePublishResponse(results, durability);
}

function incomplete(requestId: number): BusError {
  const field = requestId === 0 ? "request_id" : "publish";
  return new BusError("MALFORMED_REQUEST", `${field} must be set`, {
    violations: [{ field, description: "must be set" }],
  });
}
