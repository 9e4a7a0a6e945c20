import { BusError } from "../../core/errors.ts";
import type { Draft } from "../../core/message.ts";
import type { MessageCodec } from "../../core/message-codec.ts";
import { parsePosition } from "../../core/position.ts";
import type { Rooms } from "../directory/registry.ts";
import type { Hub } from "../reading/hub.ts";

/** So many causes are remembered, since answers come soon after what they answer. */
const MAX_REMEMBERED = 10_000;
const ROOTS: readonly number[] = new Array<number>(100).fill(0);

/** Counts how many messages led to one, by their causation: agents that answer each other for ever are stopped here. */
export class Hops {
  readonly #hub: Hub;
  readonly #rooms: Rooms;
  readonly #codec: MessageCodec;
  readonly #maxHops: number;
  readonly #known = new Map<string, number>();

  constructor(hub: Hub, rooms: Rooms, codec: MessageCodec, maxHops: number) {
    this.#hub = hub;
    this.#rooms = rooms;
    this.#codec = codec;
    this.#maxHops = maxHops;
  }

  /** A number for each draft. Throws HOP_LIMIT. Plain when no draft has a cause that must be looked up in the store. */
  count(drafts: readonly Draft[]): readonly number[] | Promise<readonly number[]> {
    if (drafts.every((draft) => draft.causation === "")) {
      return drafts.length <= ROOTS.length ? ROOTS : drafts.map(() => 0);
    }
    return Promise.all(
      drafts.map(async ({ causation }, index) => {
        if (causation === "") return 0;
        const cause = this.#known.get(causation) ?? (await this.#lookUp(causation));
        if (cause === undefined) return 0;
        if (cause + 1 > this.#maxHops) {
          throw new BusError(
            "HOP_LIMIT",
            `${cause + 1} messages led to this one, more than ${this.#maxHops} (limits.maxHops): a loop, most likely`,
          ).at(index);
        }
        return cause + 1;
      }),
    );
  }

  /** The hop count of the message at a position; undefined: there is none, so what it caused counts as a root. */
  async #lookUp(text: string): Promise<number | undefined> {
    const { name, epoch, sequence } = parsePosition(text);
    const view = this.#rooms.channel(name.key);
    if (view === undefined || sequence === 0) return undefined;
    let entry = this.#hub.recent(name.key, sequence);
    if (entry === undefined) {
      const result = await this.#hub.read(view, { from: sequence - 1, backward: false, maxEntries: 1, maxBytes: 1 });
      entry = result.entries[0];
    }
    if (entry?.sequence !== sequence || entry.epoch !== epoch) return undefined;
    const { hopCount } = this.#codec.facets(entry.body);
    if (this.#known.size >= MAX_REMEMBERED) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(text, hopCount);
    return hopCount;
  }
}
