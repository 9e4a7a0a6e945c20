/**
 * An agent that talks: it says numbered things in a channel, some to all and some to one, whispers into inboxes, asks
 * and answers, all at once, and writes down what it does and sees as the events of test/support/history.ts, one a line.
 * Standard input gives it its part in one line, and in a second one the word to begin; it ends when standard input
 * does. Over fetch when its argument says "fetch". ./talker.py is the same in Python.
 */
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { AgentBus as FetchBus } from "agentbus";
import { type Agent, AgentBus as GrpcBus, type Message, type SendOptions } from "agentbus/node";
import type { HistoryEvent, Place } from "../../support/history.ts";

export interface Part {
  readonly url: string;
  readonly agent: string;
  readonly channel: string;
  /** The other agents. */
  readonly peers: readonly string[];
  /** How many numbered things it says, and how many questions it asks. */
  readonly messages: number;
  readonly questions: number;
  /** How long it thinks before each of them, in milliseconds. */
  readonly thinkMs: number;
}

/** What it says beside events: it listens, or has said and asked everything and knows that it is stored. */
export type Milestone = { readonly milestone: "listening" | "finished" };

const ASK_MS = 150_000;

const tell = (line: HistoryEvent | Milestone) => process.stdout.write(`${JSON.stringify(line)}\n`);
const digestOf = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 24);
const think = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

class Talker {
  readonly #part: Part;
  readonly #agent: Agent;
  #attempts = 0;
  #answering: Promise<unknown> = Promise.resolve();

  constructor(part: Part, agent: Agent) {
    this.#part = part;
    this.#agent = agent;
  }

  async listen(): Promise<() => Promise<void>> {
    const { agent, channel } = this.#part;
    await this.#agent.join(channel);
    const stream = `${agent}-stream`;
    tell({ kind: "opened", stream, reader: agent, agent, start: "earliest" });
    // One stream for the history, over all cuts: the SDK promises that they do not show.
    const subscription = this.#agent.subscribe({ start: "earliest", answers: true, onGap: "fail" });
    await subscription.ready();
    return async () => {
      for await (const message of subscription) {
        tell({ kind: "delivered", stream, place: placeOf(message), ...identityOf(message) });
        if (message.type === "command") this.#answer(message);
      }
    };
  }

  async speak(): Promise<void> {
    const { agent, channel, peers, messages, thinkMs } = this.#part;
    const sending: Promise<void>[] = [];
    for (let n = 1; n <= messages; n++) {
      await think(thinkMs);
      const peer = peers[n % peers.length]!;
      const text = `${agent} says ${n}`;
      if (n % 10 === 3) sending.push(this.#send(text, `${agent}/whispers`, `_inbox:${peer}`, { to: peer }, [peer]));
      else if (n % 10 === 7) sending.push(this.#send(text, agent, channel, { channel, to: [peer] }, [peer]));
      else sending.push(this.#send(text, agent, channel, { channel }, null));
    }
    await Promise.all(sending);
  }

  async ask(): Promise<void> {
    const { peers, questions, thinkMs, messages } = this.#part;
    const asking: Promise<void>[] = [];
    for (let n = 1; n <= questions; n++) {
      await think((thinkMs * messages) / questions);
      asking.push(this.#ask(n, peers[n % peers.length]!));
    }
    await Promise.all(asking);
    await this.#answering;
  }

  async #ask(n: number, peer: string): Promise<void> {
    const { agent } = this.#part;
    const text = `${agent} asks ${n}`;
    const id = this.#attempt(text, `${agent}/question-${n}`, `_inbox:${peer}`, [peer]);
    const answer = await this.#agent.ask(text, { to: peer, type: "command", id, timeoutMs: ASK_MS });
    if (answer.text !== `${peer} answers ${text}` || answer.sender !== peer)
      throw new Error(`${text}: ${answer.sender} said ${answer.text}`);
  }

  #answer(question: Message): void {
    const { agent } = this.#part;
    const text = `${agent} answers ${question.text}`;
    const asker = question.sender;
    const id = this.#attempt(text, `${agent}/answers`, `_inbox:${asker}`, [asker]);
    const answered = question.reply(text, { id }).then((receipt) => acked(id, receipt));
    this.#answering = Promise.all([this.#answering, answered]);
  }

  async #send(
    text: string,
    producer: string,
    channel: string,
    options: SendOptions,
    audience: readonly string[] | null,
  ) {
    const id = this.#attempt(text, producer, channel, audience);
    acked(id, await this.#agent.send(text, { ...options, id }));
  }

  /** Writes down that it is about to say this, and answers the id under which it must. */
  #attempt(text: string, producer: string, channel: string, audience: readonly string[] | null): string {
    const sender = this.#part.agent;
    const id = `${sender}-${++this.#attempts}`;
    tell({ kind: "attempted", attempt: id, producer, sender, channel, id, digest: digestOf(text), audience });
    return id;
  }
}

function acked(
  attempt: string,
  { position, duplicate }: { readonly position: string; readonly duplicate: boolean },
): void {
  const [, channel, epoch, sequence] = /^(.+)@([0-9a-f]{8})\.([0-9]+)$/.exec(position)!;
  const place = { channel: channel!, epoch: Number.parseInt(epoch!, 16), sequence: Number(sequence) };
  tell({ kind: "acked", attempt, place, duplicate });
}

function placeOf({ address, epoch, sequence }: Message): Place {
  return { channel: address, epoch, sequence };
}

function identityOf({ id, sender, text }: Message) {
  return { id, sender, digest: digestOf(text) };
}

const lines = createInterface({ input: process.stdin });
lines.once("line", async (line) => {
  const part = JSON.parse(line) as Part;
  const bus = new (process.argv[2] === "fetch" ? FetchBus : GrpcBus)({ url: part.url, onWarning: () => {} });
  lines.once("close", () => void bus.close().then(() => process.exit(0)));
  const talker = new Talker(part, bus.agent(part.agent));
  const read = await talker.listen();
  tell({ milestone: "listening" });
  lines.once("line", async () => {
    await Promise.all([talker.speak(), talker.ask()]);
    tell({ milestone: "finished" });
  });
  await read();
});
