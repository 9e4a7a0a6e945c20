import type { Clock, Stop } from "../../core/clock.ts";
import { isBusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { LogEnd, MessageLog } from "../../storage/message-log.ts";
import type { TailFollower } from "./tail-follower.ts";

export interface EndPollOptions {
  /** The log that other nodes append to. */
  readonly log: MessageLog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What is read live on this node now. */
  readonly followers: () => Iterable<TailFollower>;
}

const POLL_MS = 1_000;
/** As many as the port answers at once. */
const PAGE = 1_000;

/**
 * The net under the doorbell: once a second the store is asked where the channels end that are read live, so that a lost
 * ring costs latency and never a message. Channels that were heard of since need not be asked.
 */
export class EndPoll {
  readonly #options: EndPollOptions;
  readonly #stop: Stop;
  #running = false;
  #allAgain = false;

  constructor(options: EndPollOptions) {
    this.#options = options;
    this.#stop = options.clock.every(POLL_MS, () => void this.#poll(false));
  }

  /** Rings may have been lost: every channel is asked for at once. */
  pollAll(): void {
    void this.#poll(true);
  }

  close(): void {
    this.#stop();
  }

  async #poll(all: boolean): Promise<void> {
    if (this.#running) {
      this.#allAgain ||= all;
      return;
    }
    this.#running = true;
    try {
      await this.#ask(this.#due(all));
      while (this.#allAgain) {
        this.#allAgain = false;
        await this.#ask(this.#due(true));
      }
    } catch (error) {
      // Away: the next second asks again, and whoever publishes or is asked for health tells people.
      if (!isBusError(error, "STORAGE_UNAVAILABLE")) this.#options.logger.error({ error }, "polling channels failed");
    } finally {
      this.#running = false;
    }
  }

  #due(all: boolean): TailFollower[] {
    const due: TailFollower[] = [];
    for (const follower of this.#options.followers()) {
      if (follower.view.log !== this.#options.log) continue;
      if (all || !follower.heard) due.push(follower);
      follower.heard = false;
    }
    return due;
  }

  async #ask(followers: readonly TailFollower[]): Promise<void> {
    for (let from = 0; from < followers.length; from += PAGE) {
      const page = followers.slice(from, from + PAGE).map((follower) => ({ follower, asOf: follower.known }));
      const ends: readonly (LogEnd | undefined)[] = await this.#options.log.ends(
        page.map(({ follower }) => follower.view.name),
      );
      page.forEach(({ follower, asOf }, i) => {
        if (!follower.released) follower.polled(ends[i], asOf);
      });
    }
  }
}
