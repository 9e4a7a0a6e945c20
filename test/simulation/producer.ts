import { Attempt } from "./attempts.ts";
import { type Batch, Batches, type Writer } from "./batches.ts";
import type { Connection } from "./connection.ts";
import type { World } from "./world.ts";

export interface ProducerOptions extends Writer {
  /** Between two batches, at most. */
  readonly pauseMs: number;
  /** What is begun is finished; nothing new is begun. */
  readonly isOver: () => boolean;
}

const MAX_WAIT_MS = 400;
/** After so many of its batches a client talks to another node. */
const MOVES = 0.15;

/** One batch after another; each is sent again, over any node and with the same keys, until its outcome is known. */
export async function runProducer(world: World, options: ProducerOptions): Promise<void> {
  const { dice } = world;
  const batches = new Batches(dice, options);
  let connection: Connection | undefined;
  while (!options.isOver()) {
    const batch = batches.next();
    for (;;) {
      if (connection !== undefined && dice.chance(MOVES)) {
        world.release(connection);
        connection = undefined;
      }
      connection ??= world.connect();
      const position = connection && (await send(world, connection, batch));
      if (position !== undefined) {
        batches.answered(batch, position);
        break;
      }
      if (connection !== undefined) world.release(connection);
      connection = undefined;
      await world.sleep(dice.between(1, MAX_WAIT_MS));
    }
    await world.sleep(dice.between(0, options.pauseMs));
  }
}

/** The position of its first message; undefined: not stored, or nobody knows. */
async function send({ history }: World, connection: Connection, batch: Batch): Promise<string | undefined> {
  const { agent, room, name, bytes } = batch;
  const attempt = new Attempt(history, batch);
  try {
    const { results } = await connection.call((bus) =>
      bus.publisher.publish({ agentId: agent, room, channel: name, messages: bytes }),
    );
    attempt.acked(results);
    return results[0]!.position;
  } catch (error) {
    attempt.failed(error);
    return undefined;
  }
}
