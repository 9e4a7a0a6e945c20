import type { Clock, Random, Stop } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import type { Directory, DirectoryRecord, RecordKey } from "../../storage/directory.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import { mapBounded } from "../bounded.ts";
import { disconnectKey } from "../directory/record-keys.ts";
import type { NodeLease } from "../nodes/node-lease.ts";
import type { OtherNodes } from "../nodes/other-nodes.ts";

/** How long the other nodes are waited for. */
const WAIT_MS = 3_000;
/** How often answers, and questions, are looked for that no ring told of. */
const LOOK_FOR_ANSWERS_MS = 500;
/** An answer that could not be stored is tried again after this long, until its question has expired. */
const ANSWER_AGAIN_MS = 500;
const LOOK_FOR_QUESTIONS_MS = 5_000;
const PAGE = 100;

export interface DisconnectsOptions {
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** How long a question stands. A node that does not hear of it for so long is dead to the others anyway. */
  readonly leaseMs: number;
  readonly nodes: OtherNodes;
  readonly lease: NodeLease;
  /** Ends the agent's streams on this node; answers how many once other nodes see that it is gone. */
  readonly disconnect: (agentId: string) => Promise<number>;
}

interface Question {
  readonly agentId: string;
  /** Streams that were ended; undefined: not answered yet. */
  readonly ended?: number;
}

interface Asked {
  readonly key: RecordKey;
  readonly answered: (ended: number) => void;
}

/**
 * Disconnects agents on other nodes: a record asks each of them, the same record carries its answer. A node that does not
 * answer within 3 s is not counted; it ends the agent's streams when it hears of the question, or is dead within a lease.
 */
export class Disconnects {
  readonly #options: DisconnectsOptions;
  readonly #asked = new Map<string, Asked>();
  readonly #answering = new Set<string>();
  /** Answers that are not stored yet, by question. */
  readonly #unstored = new Map<string, { readonly ended: number; readonly stopRetry: Stop }>();
  readonly #stops: Stop[] = [];

  constructor(options: DisconnectsOptions) {
    this.#options = options;
  }

  /** Answers the questions of others from now on. */
  start(): void {
    const { doorbell, clock, lease } = this.#options;
    this.#stops.push(
      doorbell.listen((ring) => {
        if (ring.topic === "missed") void this.#lookForQuestions();
        if (ring.topic !== "record" || ring.key.kind !== "disconnect") return;
        if (this.#asked.has(ring.key.id)) void this.#lookForAnswer(ring.key.id);
        if (lease.isOwn(ring.key.parent)) void this.#answer(ring.key);
      }),
      clock.every(LOOK_FOR_QUESTIONS_MS, () => void this.#lookForQuestions()),
    );
  }

  /** Whether there is anybody to ask, or anybody who left a moment ago. */
  get hasOthers(): boolean {
    return this.#options.nodes.count > 0;
  }

  /** Ends the agent's streams on all other nodes that run; answers how many. Throws STORAGE_UNAVAILABLE. */
  async ask(agentId: string): Promise<number> {
    const counts = await mapBounded(this.#options.nodes.running, (instance) => this.#askNode(instance, agentId));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  close(): void {
    for (const stop of this.#stops.splice(0)) stop();
    for (const { stopRetry } of this.#unstored.values()) stopRetry();
  }

  async #askNode(instance: string, agentId: string): Promise<number> {
    const { directory, doorbell, clock, random, log, leaseMs, nodes } = this.#options;
    const key = disconnectKey(instance, random.uuid(clock.now()));
    const { promise, resolve } = Promise.withResolvers<number>();
    const question: Question = { agentId };
    this.#asked.set(key.id, { key, answered: resolve });
    const stops: Stop[] = [];
    try {
      await directory.put(key, question, { expectedVersion: 0, timeToLiveMs: leaseMs });
      doorbell.ring({ topic: "record", key });
      stops.push(
        clock.every(LOOK_FOR_ANSWERS_MS, () => void this.#lookForAnswer(key.id)),
        nodes.changes.add((change) => {
          if (change.instance === instance) resolve(0); // its streams went with it
        }),
        clock.after(WAIT_MS, () => {
          log.warn(
            { instance, agentId },
            "a node did not say within 3 s that it disconnected an agent; it may do so yet",
          );
          resolve(0);
        }),
      );
      return await promise;
    } finally {
      this.#asked.delete(key.id);
      for (const stop of stops) stop();
    }
  }

  async #lookForAnswer(id: string): Promise<void> {
    const { directory, log } = this.#options;
    try {
      const asked = this.#asked.get(id);
      const record = asked && (await directory.get(asked.key));
      const { ended } = (record?.value ?? {}) as Partial<Question>;
      if (record === undefined || ended === undefined) return;
      asked?.answered(ended);
      await directory.delete(record.key, record.version);
    } catch (error) {
      log.debug({ err: error }, "an answer could not be read; it is looked for again");
    }
  }

  async #lookForQuestions(): Promise<void> {
    const { directory, log, lease } = this.#options;
    try {
      const records = await directory.list({ kind: "disconnect", parent: lease.instance, limit: PAGE });
      for (const { key, value } of records) if ((value as Question).ended === undefined) await this.#answer(key);
    } catch (error) {
      log.debug({ err: error }, "questions of other nodes could not be read; they are looked for again");
    }
  }

  /** Never fails. */
  async #answer(key: RecordKey): Promise<void> {
    const { directory, clock, log } = this.#options;
    if (this.#answering.has(key.id)) return;
    this.#answering.add(key.id);
    let ended = this.#unstored.get(key.id)?.ended;
    this.#unstored.get(key.id)?.stopRetry();
    this.#unstored.delete(key.id);
    try {
      const record = await directory.get(key);
      const question = record?.value as Question | undefined;
      if (record === undefined || question === undefined || question.ended !== undefined) return;
      ended ??= await this.#options.disconnect(question.agentId);
      await this.#store(record, { agentId: question.agentId, ended });
    } catch (error) {
      log.warn({ err: error }, "a question of another node could not be answered; it is tried again");
      if (ended === undefined) return; // the next look at questions begins anew
      const stopRetry = clock.after(ANSWER_AGAIN_MS, () => void this.#answer(key));
      this.#unstored.set(key.id, { ended, stopRetry });
    } finally {
      this.#answering.delete(key.id);
    }
  }

  async #store({ key, version }: DirectoryRecord, answer: Question): Promise<void> {
    const { directory, doorbell, leaseMs } = this.#options;
    await directory.put(key, answer, { expectedVersion: version, timeToLiveMs: leaseMs });
    doorbell.ring({ topic: "record", key });
  }
}
