import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import type { SubscribeResponse } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { channelName } from "../../src/core/names.ts";
import { parsePosition } from "../../src/core/position.ts";
import type { MessageLog } from "../../src/storage/message-log.ts";
import { openBus, overLog, type Reader, type Said, type TestBus } from "../support/bus-fixture.ts";

const CHANNELS = ["r:a", "r:b"] as const;
type Channel = (typeof CHANNELS)[number];
const nameOf = (key: Channel) => channelName("r", key.slice(2));

// What happens to two channels and to one reader of both.
const channel = fc.constantFrom(...CHANNELS);
const message = fc.record({
  to: fc.constantFrom("everyone", "everyone", "reader", "other"),
  sender: fc.constantFrom("alice", "alice", "bob", "reader"),
  brief: fc.boolean(),
  again: fc.boolean(),
});
const command = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      channel,
      messages: fc.array(message, { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("pull" as const), frames: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("settle" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("cut" as const), back: fc.nat({ max: 3 }), graceful: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("trim" as const), channel, keep: fc.integer({ min: 1, max: 6 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("renew" as const), channel }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete" as const), channel }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(10, 1_500, 20_000) }) },
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;
const settings = fc.record({
  tailBytes: fc.constantFrom(1, 400, 1_048_576),
  deliveryBytes: fc.constantFrom(1, 200, 262_144),
  maxMessages: fc.constantFrom(0, 1, 3),
  ringSize: fc.constantFrom(4, 12, 1_000),
  /** How many turns of the event loop each read of the store takes, before and after it looks. */
  delays: fc.array(fc.nat({ max: 2 }), { minLength: 1, maxLength: 5 }),
});

const BRIEF_MS = 1_000;

/** What the model knows of one message. */
interface Stored {
  readonly sequence: number;
  readonly visible: boolean;
  readonly expiresAtMs: number;
}

/** What the client of one channel has: after each response where it stands, what it got and what it was told it misses. */
interface Account {
  stored: Stored[];
  epochs: Set<number>;
  /** A prefix of these is what a client has that stopped at `stops[i]`. */
  got: number[];
  gaps: { first: number; last: number }[];
  stops: { position: string; got: number; gaps: number }[];
  /** A position of a log that is gone. */
  foreign: string | undefined;
}

const newAccount = (foreign?: string): Account => ({
  stored: [],
  epochs: new Set(),
  got: [],
  gaps: [],
  stops: [],
  foreign,
});

/** A store that takes its time, so that everything else happens before, while and after it reads. */
class SlowReads {
  running = 0;
  readonly #delays: readonly number[];
  #reads = 0;

  constructor(delays: readonly number[]) {
    this.#delays = delays;
  }

  wrap = (log: MessageLog): MessageLog =>
    overLog(log, {
      read: async (request) => {
        this.running++;
        await this.#pause();
        const result = await log.read(request);
        await this.#pause();
        this.running--;
        return result;
      },
    });

  async #pause(): Promise<void> {
    for (let turn = this.#delays[this.#reads++ % this.#delays.length]!; turn > 0; turn--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

class Run {
  readonly accounts = new Map<Channel, Account>(CHANNELS.map((key) => [key, newAccount()]));
  readonly #bus: TestBus;
  readonly #maxMessages: number;
  readonly #reads: SlowReads;
  #reader!: Reader;
  #keys = 0;

  constructor(bus: TestBus, reads: SlowReads, maxMessages: number) {
    this.#bus = bus;
    this.#reads = reads;
    this.#maxMessages = maxMessages;
  }

  async start(): Promise<void> {
    for (const agentId of ["reader", "other"]) await this.#bus.agents.ensure(agentId);
    await this.#open({ kind: "earliest" });
  }

  async step(one: Command): Promise<void> {
    const bus = this.#bus;
    if (one.do === "publish") await this.#publish(one.channel, one.messages);
    else if (one.do === "pull") this.#note(this.#reader.pull(one.frames));
    else if (one.do === "settle") await bus.settle();
    else if (one.do === "wait") bus.clock.advance(one.ms);
    else if (one.do === "cut") await this.#cut(one.back, one.graceful);
    else if (bus.rooms.channel(one.channel) === undefined) return;
    else if (one.do === "renew") await bus.storage.log.renewEpoch(nameOf(one.channel));
    else if (one.do === "trim") await this.#trim(one.channel, one.keep);
    else await this.#delete(one.channel);
  }

  async finish(): Promise<void> {
    await this.#readAll();
    for (const [key, account] of this.accounts) await this.#check(key, account);
  }

  async #open(
    start: Parameters<TestBus["read"]>[0] & object extends infer I
      ? I extends { start?: infer S }
        ? S
        : never
      : never,
  ): Promise<void> {
    this.#reader = await this.#bus.read({
      agentId: "reader",
      patterns: ["r:*"],
      start,
      maxMessages: this.#maxMessages,
    });
    this.#note(this.#reader.responses);
  }

  async #publish(
    key: Channel,
    messages: readonly { to: string; sender: string; brief: boolean; again: boolean }[],
  ): Promise<void> {
    const account = this.accounts.get(key)!;
    const bySender = new Map<string, typeof messages>();
    for (const one of messages) bySender.set(one.sender, [...(bySender.get(one.sender) ?? []), one]);
    for (const [sender, batch] of bySender) {
      const said = batch.flatMap(({ to, brief, again }): Said[] => {
        const content: Said = {
          id: `m${++this.#keys}`,
          ...(to === "everyone" ? {} : { to: { agents: [to] } }),
          ...(brief ? { timeToLive: { seconds: BigInt(BRIEF_MS / 1_000) } } : {}),
        };
        return again ? [content, content] : [content];
      });
      const nowMs = this.#bus.clock.now();
      const { results } = await this.#bus.say(sender, key, ...said);
      for (const [i, { position, duplicate }] of results.entries()) {
        const { epoch, sequence } = parsePosition(position);
        if (duplicate) {
          assert.ok(
            account.stored.some((stored) => stored.sequence === sequence),
            "a duplicate of something stored",
          );
          continue;
        }
        const { to, timeToLive } = said[i] as Exclude<Said, string>;
        const named = to?.agents?.[0];
        const visible = sender !== "reader" && (named === undefined || named === "reader");
        assert.equal(sequence, account.stored.length + 1, "sequences have no holes");
        account.stored.push({ sequence, visible, expiresAtMs: timeToLive === undefined ? 0 : nowMs + BRIEF_MS });
        account.epochs.add(epoch);
      }
    }
  }

  async #trim(key: Channel, maxMessages: number): Promise<void> {
    await this.#bus.storage.log.trim(nameOf(key), { maxAgeMs: 0, maxBytes: 0, maxMessages });
  }

  /** What is not read of a log that is deleted is gone with it; what was read counts no more. */
  async #delete(key: Channel): Promise<void> {
    await this.#readAll();
    const { stops } = this.accounts.get(key)!;
    await this.#bus.rooms.deleteChannel(nameOf(key));
    this.accounts.set(key, newAccount(stops.at(-1)?.position));
    this.#reader.positions.delete(key);
  }

  /** The connection breaks; the client comes back with any position it was ever told of this log, or of the last one. */
  async #cut(back: number, graceful: boolean): Promise<void> {
    this.#reader.subscription.close(graceful);
    await this.#bus.settle();
    const positions: string[] = [];
    for (const [key, account] of this.accounts) {
      const stop = account.stops.at(-1 - Math.min(back, account.stops.length - 1));
      account.got.length = stop?.got ?? 0;
      account.gaps.length = stop?.gaps ?? 0;
      account.stops.length = stop === undefined ? 0 : account.stops.indexOf(stop) + 1;
      const position = stop?.position ?? account.foreign;
      if (position !== undefined) positions.push(position);
      if (stop !== undefined) continue;
      // New to the client, or another log than it knew: it starts with the first message that is retained.
      const state = await this.#bus.rooms.channel(key)?.log.state(nameOf(key));
      if (state !== undefined && state.floor > 1) account.gaps.push({ first: 1, last: state.floor - 1 });
    }
    await this.#open({ kind: "resume", positions });
  }

  async #readAll(): Promise<void> {
    const from = this.#reader.responses.length;
    do await this.#reader.take();
    while (this.#reads.running > 0);
    await this.#reader.take();
    this.#note(this.#reader.responses.slice(from));
    assert.equal(this.#reader.subscription.finished, undefined);
  }

  #note(responses: readonly SubscribeResponse[]): void {
    for (const { messages, gaps, positions } of responses) {
      for (const { room, channel: own, sequence, epoch } of messages) {
        const account = this.accounts.get(`${room}:${own}` as Channel)!;
        assert.ok(account.epochs.has(epoch), "a message of the log as it is");
        account.got.push(Number(sequence));
      }
      for (const { room, channel: own, firstSequence, lastSequence } of gaps) {
        // 0: another log than the client knew; what is missing of this one was noted when it came back.
        if (lastSequence === 0n) continue;
        const account = this.accounts.get(`${room}:${own}` as Channel)!;
        account.gaps.push({ first: Number(firstSequence), last: Number(lastSequence) });
      }
      for (const position of positions) {
        const account = this.accounts.get(position.slice(0, position.lastIndexOf("@")) as Channel)!;
        account.stops.push({ position, got: account.got.length, gaps: account.gaps.length });
      }
    }
  }

  async #check(key: Channel, { stored, got, gaps }: Account): Promise<void> {
    const told = (sequence: number) => gaps.some(({ first, last }) => first <= sequence && sequence <= last);
    for (let i = 1; i < got.length; i++) assert.ok(got[i]! > got[i - 1]!, `${key}: in order, each once: ${got}`);
    const received = new Set(got);
    for (const { sequence, visible, expiresAtMs } of stored) {
      if (!visible) assert.ok(!received.has(sequence), `${key}: ${sequence} is not for the reader`);
      else if (expiresAtMs === 0) assert.ok(received.has(sequence) || told(sequence), `${key}: ${sequence} was lost`);
      assert.ok(!(received.has(sequence) && told(sequence)), `${key}: ${sequence} came and was told to be missing`);
    }
    const state = await this.#bus.rooms.channel(key)?.log.state(nameOf(key));
    const floor = state?.floor ?? 1;
    for (const { last } of gaps) assert.ok(last < floor, `${key}: ${last} is told to be missing and is there`);
  }
}

describe("resuming", () => {
  it("S3-US3.1: what a reader gathers and the gaps it was told are exactly what it may see of the log", () =>
    fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(command, { maxLength: 60, size: "max" }),
        async ({ ringSize, maxMessages, delays, ...limits }, commands) => {
          const reads = new SlowReads(delays);
          const bus = await openBus({ ringSize, limits, wrapLog: reads.wrap });
          const run = new Run(bus, reads, maxMessages);
          await run.start();
          for (const one of commands) await run.step(one);
          await run.finish();
          await bus.close();
        },
      ),
      { numRuns: 2_000 },
    ));
});
