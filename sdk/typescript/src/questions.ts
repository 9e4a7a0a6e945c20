import type { Connection } from "./connection.ts";
import type { Content } from "./content.ts";
import { BusError, ClosedError } from "./errors.ts";
import type { Message as MessageProto } from "./gen/agentbus/v1/message_pb.ts";
import type { Message } from "./message.ts";
import type { SendOptions } from "./outgoing.ts";
import type { Receipt } from "./receipt.ts";
import { Subscription, type SubscriptionHost } from "./subscription.ts";
import { uuidv7 } from "./uuid.ts";
import { linkedController, within } from "./waiting.ts";

export interface AskOptions extends Omit<SendOptions, "replyTo" | "timeoutMs"> {
  /**
   * How many answers to wait for: 1 (default), more, or "audience": one of each agent that may read the question.
   * "audience" in a channel that everyone may read collects until the time is up.
   */
  readonly answers?: number | "audience";
  /** How long to wait, from the call to the last answer, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
// A stream that nobody needs would keep a process alive.
const IDLE_INBOX_MS = 5_000;
// Late answers are kept from subscriptions for so many questions back.
const REMEMBERED_QUESTIONS = 1_000;

class Question {
  readonly id: string;
  readonly answers: Message[] = [];
  readonly done: Promise<void>;
  readonly #complete: (answers: readonly Message[]) => boolean;
  #expected: number | undefined;
  #finish!: () => void;
  #fail!: (error: unknown) => void;

  constructor(id: string, wanted: number | "audience") {
    this.id = id;
    if (wanted !== "audience") this.#expected = wanted;
    this.#complete =
      wanted === "audience"
        ? (answers) =>
            new Set(answers.map((answer) => answer.sender)).size >= (this.#expected ?? Number.POSITIVE_INFINITY)
        : (answers) => answers.length >= wanted;
    this.done = new Promise((resolve, reject) => {
      this.#finish = resolve;
      this.#fail = reject;
    });
    // It may fail before anybody waits for it.
    this.done.catch(() => {});
  }

  /** The question is stored; answers may have come before this is known. */
  stored({ audience }: Receipt): void {
    this.#expected ??= audience?.count;
    this.#check();
  }

  add(answer: Message): void {
    this.answers.push(answer);
    this.#check();
  }

  fail(error: unknown): void {
    this.#fail(error);
  }

  #check(): void {
    if (this.#complete(this.answers)) this.#finish();
  }
}

/** Questions that an agent asked, and the one stream over its inbox on which their answers come. */
export class Questions {
  readonly #host: SubscriptionHost;
  readonly #connection: Connection;
  readonly #inbox: string;
  readonly #open = new Map<string, Question>();
  readonly #recent = new Set<string>();
  #subscription: Subscription | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(host: SubscriptionHost, connection: Connection, inbox: string) {
    this.#host = host;
    this.#connection = connection;
    this.#inbox = inbox;
  }

  /** Answers that came in time: as many as were wanted, or, for more than one, those that there are when time is up. */
  async ask(content: Content, options: AskOptions): Promise<Message[]> {
    const { answers = 1, timeoutMs = DEFAULT_TIMEOUT_MS, signal, ...send } = options;
    if (answers !== "audience" && !(Number.isSafeInteger(answers) && answers >= 1))
      throw new RangeError(`answers ${answers} is not 1 or more, or "audience"`);
    const question = new Question(send.correlationId ?? uuidv7(), answers);
    if (this.#open.has(question.id)) throw new TypeError(`a question with correlationId ${question.id} is being asked`);
    this.#remember(question);
    const { controller, release } = linkedController(this.#connection.signal, signal);
    const late = noAnswer(question.id, timeoutMs);
    const timer = setTimeout(() => controller.abort(late), timeoutMs);
    let stored = false;
    try {
      await within(this.#listen().ready(), Number.POSITIVE_INFINITY, controller.signal, "no inbox");
      const addressed = { ...send, correlationId: question.id, replyTo: this.#inbox, signal: controller.signal };
      question.stored(await this.#host.send(content, { ...addressed, timeoutMs: Number.POSITIVE_INFINITY }));
      stored = true;
      await within(question.done, Number.POSITIVE_INFINITY, controller.signal, "no answer");
    } catch (error) {
      if (error !== late || !stored || answers === 1) throw error;
    } finally {
      clearTimeout(timer);
      release();
      this.#open.delete(question.id);
      this.#restWhenIdle();
    }
    return question.answers;
  }

  /** True for an answer to a question of this agent, also to one that was given up. */
  takes({ correlationId }: MessageProto): boolean {
    return this.#open.has(correlationId) || this.#recent.has(correlationId);
  }

  /** Gives up all questions. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    for (const question of this.#open.values())
      question.fail(new ClosedError("the agent was closed before the answer came"));
    await this.#subscription?.close();
  }

  #remember(question: Question): void {
    this.#open.set(question.id, question);
    this.#recent.add(question.id);
    if (this.#recent.size <= REMEMBERED_QUESTIONS) return;
    for (const oldest of this.#recent) {
      this.#recent.delete(oldest);
      break;
    }
  }

  #listen(): Subscription {
    clearTimeout(this.#idle);
    if (this.#subscription !== undefined) return this.#subscription;
    const options = { channels: [this.#inbox], observe: true, answers: true, onGap: () => {} };
    const subscription = new Subscription(this.#host, this.#connection, options, undefined);
    this.#subscription = subscription;
    void this.#dispatch(subscription);
    return subscription;
  }

  async #dispatch(subscription: Subscription): Promise<void> {
    let failure: unknown = new ClosedError("the inbox was closed before the answer came");
    try {
      for await (const message of subscription) this.#open.get(message.correlationId)?.add(message);
    } catch (error) {
      failure = error;
    }
    // Asked again, the inbox is opened anew.
    if (this.#subscription === subscription) this.#subscription = undefined;
    for (const question of this.#open.values()) question.fail(failure);
  }

  #restWhenIdle(): void {
    if (this.#open.size > 0) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      const subscription = this.#subscription;
      this.#subscription = undefined;
      subscription?.close().catch(() => {});
    }, IDLE_INBOX_MS);
  }
}

function noAnswer(id: string, timeoutMs: number): BusError {
  const message = `no answer to question ${id} within ${timeoutMs} ms`;
  return new BusError({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE", message });
}
