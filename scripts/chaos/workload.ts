import { create } from "@bufbuild/protobuf";
import {
  type PublishRequest,
  PublishRequestSchema,
  type PublishResponse,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { digestOf, parsePlace } from "../../test/support/history.ts";
import type { Recorder } from "./recorder.ts";

/** Where a producer sends, and for whom. */
export interface Target {
  /** "" with `channel`: the inbox of the one agent in `to`. */
  readonly room: string;
  readonly channel: string;
  /** Unset: everyone who reads the channel. */
  readonly to?: readonly string[];
}

/** Several messages to one channel, the same in every attempt to send them. */
export interface Batch {
  readonly request: PublishRequest;
  readonly messages: readonly { readonly id: string; readonly digest: string }[];
  /** "room:channel", inboxes included. */
  readonly channel: string;
  readonly audience: readonly string[] | null;
}

export interface Writer {
  readonly agent: string;
  /** Names the line of messages whose order is kept. */
  readonly producer: string;
}

const LETTERS = "abcdefghijklmnopqrstuvwxyz ";
const MAX_TEXT = 700;
const MAX_BATCH = 8;

/** Makes the batches of one producer: ids count up, so a doubled or a lost one shows. */
export function createWorkload({ agent, producer }: Writer, targets: readonly Target[], random: () => number) {
  let count = 0;
  const pick = (below: number) => Math.floor(random() * below);
  return (): Batch => {
    const { room, channel, to } = targets[pick(targets.length)]!;
    const texts = Array.from({ length: 1 + pick(MAX_BATCH) }, () => {
      const letters = Array.from({ length: pick(MAX_TEXT) }, () => LETTERS[pick(LETTERS.length)]);
      return `${producer} ${++count} ${letters.join("")}`;
    });
    const messages = texts.map((text, i) => {
      const id = `${producer}-${count - texts.length + i + 1}`;
      // Half of the keys are the ids, half are given.
      return { id, text, idempotencyKey: i % 2 === 0 ? "" : `key-${id}`, ...(to && { to: { agents: [...to] } }) };
    });
    return {
      request: create(PublishRequestSchema, {
        agentId: agent,
        room,
        channel,
        messages: messages.map(({ text, ...rest }) => ({ ...rest, payload: { case: "text" as const, value: text } })),
      }),
      messages: messages.map(({ id, text }) => ({ id, digest: digestOf(text) })),
      channel: room === "" ? `_inbox:${to![0]}` : `${room}:${channel}`,
      audience: to ?? null,
    };
  };
}

/** Writes down one attempt to send a batch; the answered functions write down what became of it. */
export function recordAttempt(history: Recorder, { agent, producer }: Writer, batch: Batch) {
  const { channel, audience } = batch;
  const attempts = batch.messages.map(({ id, digest }) => {
    const attempt = history.name("attempt");
    history.record({ kind: "attempted", attempt, producer, sender: agent, channel, id, digest, audience });
    return attempt;
  });
  return {
    acked(response: PublishResponse): void {
      if (response.results.length !== attempts.length) {
        throw new Error(`${attempts.length} messages were answered with ${response.results.length} results`);
      }
      response.results.forEach(({ position, duplicate }, i) => {
        const place = parsePlace(position);
        history.record({ kind: "acked", attempt: attempts[i]!, place, duplicate, atMs: Date.now() });
      });
    },
    unknown: () => attempts.forEach((attempt) => void history.record({ kind: "unknown", attempt })),
    refused: () => attempts.forEach((attempt) => void history.record({ kind: "failed", attempt })),
  };
}
