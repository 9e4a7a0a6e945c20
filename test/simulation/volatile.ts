import { channelName } from "../../src/core/names.ts";
import type { Delivered, History } from "../support/history.ts";
import { Attempt } from "./attempts.ts";
import { Batches } from "./batches.ts";
import type { Connection } from "./connection.ts";
import type { Dice } from "./dice.ts";
import type { FaultKind } from "./faults.ts";
import type { ReaderOptions } from "./reader.ts";
import type { World } from "./world.ts";

/** In a room of its own, where no pattern of the other readers matches. */
export const VOLATILE = channelName("brief", "talk");

const MAX_PAUSE_MS = 800;
/** What a node that dies had not sent yet is lost, and nobody is left to say so. */
const UNTOLD_LOSSES: readonly FaultKind[] = ["kills", "restores"];

/** Who listens to the VOLATILE channel in this run. */
export function chooseListeners(dice: Dice): readonly ReaderOptions[] {
  if (dice.chance(0.5)) return [];
  return ["cid", "dot", "eve"].slice(0, 1 + dice.below(3)).map((agent) => ({
    agent,
    reader: `${agent}-listens`,
    channels: [VOLATILE.key],
    start: "new" as const,
    observe: true,
    isPartial: true,
  }));
}

/** Publishes to the VOLATILE channel and sends nothing twice. Order is kept as long as it talks to one node. */
export async function broadcast(world: World, agent: string, isOver: () => boolean): Promise<void> {
  const { dice, volatileHistory } = world;
  let connection: Connection | undefined;
  let batches: Batches | undefined;
  for (let wasOver = false; ; ) {
    await world.sleep(dice.between(0, MAX_PAUSE_MS));
    if (connection === undefined || batches === undefined) {
      connection = world.connect();
      batches = new Batches(dice, {
        agent,
        producer: volatileHistory.name(agent),
        targets: [{ channel: VOLATILE.key }],
      });
    }
    if (connection === undefined) continue;
    const batch = batches.next();
    const attempt = new Attempt(volatileHistory, batch);
    try {
      const { results } = await connection.call((bus) =>
        bus.publisher.publish({ agentId: agent, room: batch.room, channel: batch.name, messages: batch.bytes }),
      );
      attempt.acked(results);
      if (wasOver) break;
      // Once more in quiet: what was lost before shows with the next packet.
      wasOver = isOver();
    } catch (error) {
      attempt.failed(error);
      world.release(connection);
      connection = undefined;
    }
  }
}

/** What one stream was given so far. */
interface Heard {
  /** The newest message of each producer. */
  readonly newest: Map<string, number>;
  readonly seen: Set<string>;
  gaps: number;
  /** Where in the history it was told its first position. */
  openedAt: number;
}

/** At most once, in the order of each publisher, unchanged; and what is missing in between was told as a Gap. */
export function judgeVolatile(world: World, kinds: readonly FaultKind[]): void {
  const sent = indexSent(world.volatileHistory);
  const streams = new Map<string, Heard>();
  for (const [at, event] of world.volatileHistory.events.entries()) {
    if (event.kind === "opened") {
      const fresh = { newest: new Map(), seen: new Set<string>(), gaps: 0, openedAt: Number.POSITIVE_INFINITY };
      streams.set(event.stream, fresh);
    }
    const heard = "stream" in event ? streams.get(event.stream) : undefined;
    if (heard === undefined) continue;
    if (event.kind === "gap") heard.gaps++;
    if (event.kind === "positions") heard.openedAt = Math.min(heard.openedAt, at);
    if (event.kind === "delivered") hear(world, heard, event, sent.get(event.id));
  }
  if (kinds.some((kind) => UNTOLD_LOSSES.includes(kind))) return;
  for (const [name, { newest, seen, gaps, openedAt }] of streams) {
    for (const [id, { producer, order, isAcked, sentAt }] of sent) {
      const isOwed = isAcked && sentAt > openedAt && order < (newest.get(producer) ?? 0);
      if (!isOwed || seen.has(id) || gaps > 0) continue;
      world.violated(`VOLATILE: ${name} was not given ${id}, though it was given a later one, and told no Gap`);
    }
  }
}

function hear(world: World, { seen, newest }: Heard, { id, stream, ...event }: Delivered, message: Sent | undefined) {
  const says = (text: string) => world.violated(`VOLATILE: ${stream} was given ${id}, ${text}`);
  if (message === undefined || message.sender !== event.sender) {
    says("which nobody sent");
    return;
  }
  if (message.digest !== event.digest) says("with other bytes");
  if (seen.has(id)) says("twice");
  if ((newest.get(message.producer) ?? 0) > message.order) says("behind a later one of the same producer");
  seen.add(id);
  newest.set(message.producer, message.order);
}

interface Sent {
  readonly producer: string;
  readonly sender: string;
  readonly digest: string;
  readonly order: number;
  /** Where in the history it was sent. */
  readonly sentAt: number;
  isAcked: boolean;
}

function indexSent(history: History) {
  const sent = new Map<string, Sent>();
  const ids = new Map<string, string>();
  history.events.forEach((event, at) => {
    if (event.kind === "attempted") {
      const { id, producer, sender, digest, order = 0 } = event;
      sent.set(id, { producer, sender, digest, order, sentAt: at, isAcked: false });
      ids.set(event.attempt, id);
    }
    if (event.kind === "acked") sent.get(ids.get(event.attempt)!)!.isAcked = true;
  });
  return sent;
}
