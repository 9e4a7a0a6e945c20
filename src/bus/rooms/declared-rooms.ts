import type { Clock } from "../../core/clock.ts";
import { isBusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { channelName } from "../../core/names.ts";
import type { NewChannel, NewRoom, Rooms } from "../directory/registry.ts";

/** A room of the configuration, with its channels. */
export interface DeclaredRoom extends Omit<NewRoom, "autoCreateChannels"> {
  /** Undefined: as the server. */
  readonly autoCreateChannels?: boolean | undefined;
  readonly channels: readonly (Omit<NewChannel, "name"> & { readonly channel: string })[];
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;

/** Makes the rooms and channels of the configuration: at start, or as soon as the storage lets them be made. */
export class DeclaredRooms {
  readonly #rooms: Rooms;
  readonly #declared: readonly DeclaredRoom[];
  readonly #clock: Clock;
  readonly #logger: Logger;
  #closed = false;
  #problem: string | undefined;

  constructor(rooms: Rooms, declared: readonly DeclaredRoom[], clock: Clock, logger: Logger) {
    this.#rooms = rooms;
    this.#declared = declared;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** What is wrong, for people; undefined: nothing. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** `strict`: rejects when one cannot be made. Else it tries again in the background, and `problem` says so. */
  async create(strict: boolean): Promise<void> {
    await this.#attempt(strict, FIRST_RETRY_MS);
  }

  close(): void {
    this.#closed = true;
  }

  async #attempt(strict: boolean, delayMs: number): Promise<void> {
    try {
      for (const { channels, autoCreateChannels, ...room } of this.#declared) {
        await unlessChanged(
          this.#rooms.createRoom(autoCreateChannels === undefined ? room : { ...room, autoCreateChannels }),
        );
        for (const { channel, ...rest } of channels) {
          await unlessChanged(this.#rooms.createChannel({ name: channelName(room.room, channel), ...rest }, false));
        }
      }
      this.#problem = undefined;
    } catch (error) {
      if (strict) throw error;
      this.#problem = `declared rooms are not there yet: ${error instanceof Error ? error.message : String(error)}`;
      this.#logger.error({ error, delayMs }, "declared rooms cannot be created; trying again");
      this.#clock.after(delayMs, () => {
        if (!this.#closed) void this.#attempt(false, Math.min(delayMs * 2, MAX_RETRY_MS));
      });
    }
  }
}

/** A room that was changed at run time stays as it was changed. */
async function unlessChanged(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!isBusError(error, "ROOM_EXISTS") && !isBusError(error, "CHANNEL_EXISTS")) throw error;
  }
}
