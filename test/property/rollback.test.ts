import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { GapCause, type SubscribeResponse } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { isBusError } from "../../src/core/errors.ts";
import { channelName } from "../../src/core/names.ts";
import type { MessageLog } from "../../src/storage/message-log.ts";
import { overLog, type Reader, type TestBus, textOf } from "../support/bus-fixture.ts";
import { createSharedBackend, type SharedBackend } from "../support/shared-backend.ts";
import { openTwo, type TwoNodes } from "../support/two-nodes.ts";

const KEY = "r:a";
const name = channelName("r", "a");
const READERS = 3;

// What happens to a channel that two nodes write to, and that three readers read.
const node = fc.boolean();
const reader = fc.nat({ max: READERS - 1 });
const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("publish" as const), node, count: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("roll back" as const), by: fc.nat({ max: 5 }), forgets: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("pull" as const), reader, frames: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("cut" as const), reader, node, back: fc.nat({ max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("rings" as const), come: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("away" as const), isAway: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(250, 1_000, 3_000) }) },
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
const settings = fc.record({
  maxMessages: fc.constantFrom(0, 1),
  delays: fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 7 }),
  /** The last thing that happens is a publish; else it may be that the log lost its end and nobody wrote to it. */
  endsWithPublish: fc.boolean(),
});

/** Answers come late, and overtake each other. */
function slow(delays: readonly number[]): (log: MessageLog) => MessageLog {
  let steps = 0;
  const pause = async () => {
    for (let turn = delays[steps++ % delays.length]!; turn > 0; turn--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const late = async <T>(ask: () => T | Promise<T>): Promise<T> => {
    await pause();
    const answer = await ask();
    await pause();
    return answer;
  };
  return (log) =>
    overLog(log, {
      read: (request) => late(() => log.read(request)),
      state: (of) => late(() => log.state(of)),
      ends: (names) => late(() => log.ends(names)),
      append: (batch) => late(() => log.append(batch)),
    });
}

interface Had {
  readonly sequence: number;
  readonly text: string;
}

/** What a client has of the log by what its streams told it: messages, and what it is told to be void. */
class Client {
  #had: Had[] = [];
  #stops: { readonly position: string; readonly had: readonly Had[] }[] = [];
  stream: Reader | undefined;

  note(responses: readonly SubscribeResponse[]): void {
    for (const { messages, gaps, positions } of responses) {
      for (const { firstSequence, lastSequence, cause } of gaps) {
        assert.equal(cause, GapCause.NEW_EPOCH);
        // 0: another log than the one it knew, which it is given from the first message on.
        const first = lastSequence === 0n ? 1 : Number(firstSequence);
        this.#had = this.#had.filter(({ sequence }) => sequence < first);
      }
      for (const message of messages) {
        const sequence = Number(message.sequence);
        assert.equal(sequence, (this.#had.at(-1)?.sequence ?? 0) + 1, "in order, each once, none left out");
        this.#had.push({ sequence, text: textOf(message) });
      }
      for (const position of positions) this.#stops.push({ position, had: [...this.#had] });
    }
  }

  /** The connection breaks: it goes back to a position that it was told. */
  cut(back: number): string | undefined {
    this.stream?.subscription.close(false);
    this.stream = undefined;
    const stop = this.#stops.at(-1 - Math.min(back, this.#stops.length - 1));
    this.#had = [...(stop?.had ?? [])];
    this.#stops = stop === undefined ? [] : [stop];
    return stop?.position;
  }

  get had(): readonly Had[] {
    return this.#had;
  }
}

class Run {
  readonly #nodes: TwoNodes;
  readonly #backend: SharedBackend;
  readonly #maxMessages: number;
  readonly #clients = Array.from({ length: READERS }, () => new Client());
  #said = 0;

  constructor(nodes: TwoNodes, maxMessages: number) {
    this.#nodes = nodes;
    this.#backend = nodes.backend;
    this.#maxMessages = maxMessages;
  }

  async start(): Promise<void> {
    const { a, settle } = this.#nodes;
    await a.rooms.createChannel({ name, description: "", metadata: {}, config: {} }, true);
    for (const agentId of ["alice", "reader"]) await a.agents.ensure(agentId);
    await settle();
    for (const [i, client] of this.#clients.entries()) await this.#open(client, i % 2 === 0, undefined);
  }

  async step(one: Command): Promise<void> {
    const { settle, pass } = this.#nodes;
    if (one.do === "publish") this.#publish(one.node, one.count);
    else if (one.do === "settle") await settle();
    else if (one.do === "wait") await pass(one.ms);
    else if (one.do === "rings") this.#backend.ringFilter = ({ topic }) => one.come || topic !== "log";
    else if (one.do === "away") this.#backend.away = one.isAway;
    else if (one.do === "roll back") {
      const { head } = (await this.#backend.log.state(name))!;
      this.#backend.log.rollBack(name, Math.max(head - one.by, 0), one.forgets);
    } else {
      const client = this.#clients[one.reader]!;
      if (one.do === "pull") client.note(client.stream?.pull(one.frames) ?? []);
      else await this.#open(client, one.node, client.cut(one.back));
    }
  }

  async finish(endsWithPublish: boolean): Promise<void> {
    this.#backend.away = false;
    for (const client of this.#clients) if (client.stream === undefined) await this.#open(client, true, client.cut(0));
    if (endsWithPublish) this.#publish(true, 1);
    // A log that nobody wrote to gets a new epoch once a minute at most.
    await this.#nodes.pass(endsWithPublish ? 5_000 : 65_000);
    for (const client of this.#clients) {
      do {
        client.note(client.stream!.pull());
        await this.#nodes.pass(250);
      } while (client.stream!.subscription.finished === undefined && client.had.length < (await this.#log()).length);
      client.note(client.stream!.pull());
      assert.equal(client.stream!.subscription.finished, undefined);
      assert.deepEqual(client.had, await this.#log());
    }
  }

  async #log(): Promise<Had[]> {
    const { entries } = await this.#backend.log.read({
      name,
      from: 0,
      backward: false,
      maxEntries: 1_000,
      maxBytes: 1e9,
    });
    // The id is the text: what a message says is not the log's business.
    return entries.map(({ sequence, id }) => ({ sequence, text: id }));
  }

  #publish(onA: boolean, count: number): void {
    const said = Array.from({ length: count }, () => {
      const id = `m${++this.#said}`;
      return { id, payload: { case: "text" as const, value: id } };
    });
    this.#node(onA)
      .say("alice", KEY, ...said)
      .catch((error: unknown) => assert.ok(isBusError(error, "STORAGE_UNAVAILABLE"), String(error)));
  }

  async #open(client: Client, onA: boolean, position: string | undefined): Promise<void> {
    try {
      client.stream = await this.#node(onA).read({
        agentId: "reader",
        channels: [KEY],
        maxMessages: this.#maxMessages,
        start: position === undefined ? { kind: "earliest" } : { kind: "resume", positions: [position] },
      });
      client.note(client.stream.responses);
    } catch (error) {
      // It comes back at the end, from where it stood.
      assert.ok(isBusError(error, "STORAGE_UNAVAILABLE"), String(error));
    }
  }

  #node(onA: boolean): TestBus {
    return onA ? this.#nodes.a : this.#nodes.b;
  }
}

describe("a shared log that loses its end", () => {
  it("S3-FR-012: every stream ends up with exactly what is in the log, and was told of what is not", () =>
    fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(command, { maxLength: 60, size: "max" }),
        async ({ maxMessages, delays, endsWithPublish }, commands) => {
          const nodes = await openTwo(createSharedBackend({ wrapLog: slow(delays) }));
          const run = new Run(nodes, maxMessages);
          await run.start();
          for (const one of commands) await run.step(one);
          await run.finish(endsWithPublish);
          await nodes.a.close();
          await nodes.b.close();
        },
      ),
      { numRuns: 200 },
    ));
});
