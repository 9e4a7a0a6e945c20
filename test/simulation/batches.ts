import { create, toBinary } from "@bufbuild/protobuf";
import { MessageSchema } from "../../gen/agentbus/v1/message_pb.ts";
import { channelName, inboxOf } from "../../src/core/names.ts";
import { digestOf } from "../support/history.ts";
import type { Dice } from "./dice.ts";

/** Where messages go, and for whom. */
export interface Target {
  /** "room:channel"; undefined: the inbox of the one agent in `to`. */
  readonly channel?: string;
  readonly to?: readonly string[];
  /** For who is in it: the ack tells for whom. */
  readonly group?: string;
  /** The channel's routing decides: the ack tells for whom. */
  readonly isRouted?: boolean;
}

/** Who sends: one line of messages whose order is kept. */
export interface Writer {
  readonly agent: string;
  readonly producer: string;
  readonly targets: readonly Target[];
}

export interface BatchMessage {
  readonly id: string;
  readonly digest: string;
  readonly label: string;
  /** Its place in the writer's line. */
  readonly order: number;
}

/** Several messages to one channel, the same in every attempt to send them. */
export interface Batch {
  readonly agent: string;
  readonly producer: string;
  readonly channel: string;
  /** As a request names it: both "" for an inbox. */
  readonly room: string;
  readonly name: string;
  readonly bytes: readonly Uint8Array[];
  readonly messages: readonly BatchMessage[];
  readonly audience: readonly string[] | null | undefined;
  /** Messages that led to its first one. */
  readonly hops: number;
}

export const LABELS = ["red", "blue"] as const;
const MAX_BATCH = 4;
/** Then a message without a cause: longer chains are refused. */
const MAX_HOPS = 10;

/** Makes the batches of one writer: ids count up, so a doubled or a lost one shows. */
export class Batches {
  readonly #dice: Dice;
  readonly #writer: Writer;
  #count = 0;
  #cause = "";
  #hops = 0;

  constructor(dice: Dice, writer: Writer) {
    this.#dice = dice;
    this.#writer = writer;
  }

  /** Some of the next messages follow from the first one of this batch, which is at this position. */
  answered({ hops }: Batch, position: string): void {
    if (!this.#dice.chance(0.3)) return;
    this.#hops = hops >= MAX_HOPS ? 0 : hops + 1;
    this.#cause = this.#hops === 0 ? "" : position;
  }

  next(): Batch {
    const { agent, producer, targets } = this.#writer;
    const dice = this.#dice;
    const { channel, to, group, isRouted } = dice.pick(targets);
    const name = channel === undefined ? inboxOf(to![0]!) : channelName(...(channel.split(":") as [string, string]));
    const messages = Array.from({ length: dice.chance(0.6) ? 1 : 1 + dice.below(MAX_BATCH) }, () => {
      const id = `${producer}-${++this.#count}`;
      return {
        id,
        order: this.#count,
        label: dice.pick(LABELS),
        text: `${id} of ${agent} ${"x".repeat(dice.below(60))}`,
      };
    });
    return {
      agent,
      producer,
      channel: name.key,
      room: channel === undefined ? "" : name.room,
      name: channel === undefined ? "" : name.channel,
      bytes: messages.map(({ id, label, text }, i) =>
        toBinary(
          MessageSchema,
          create(MessageSchema, {
            id,
            name: label,
            payload: { case: "text", value: text },
            idempotencyKey: i % 2 === 0 ? "" : `key-${id}`,
            ...(to && { to: { agents: [...to] } }),
            ...(group !== undefined && { to: { groups: [group] } }),
            ...(this.#cause !== "" && i === 0 && { causation: this.#cause }),
          }),
        ),
      ),
      messages: messages.map(({ id, order, label, text }) => ({ id, order, label, digest: digestOf(text) })),
      hops: this.#hops,
      audience: isRouted === true || group !== undefined ? undefined : (to ?? null),
    };
  }
}
