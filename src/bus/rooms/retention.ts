import type { Logger } from "../../core/logger.ts";
import type { AppendRecord } from "../../storage/message-log.ts";
import type { ChannelView } from "../directory/registry.ts";

/** A channel is trimmed when this part of what it may keep has come since the last time. */
const PARTS = 8;
const MIN_MESSAGES = 1_000;
const MIN_BYTES = 1_048_576;
/** Channels whose growth is counted; those left out are trimmed by the janitor's rounds alone. */
const MAX_CHANNELS = 100_000;

interface Growth {
  messages: number;
  bytes: number;
  trimming: boolean;
}

/** Trims channels as they grow: between two of the janitor's rounds a busy one could outgrow any limit. */
export class Retention {
  readonly #logger: Logger;
  readonly #growth = new Map<string, Growth>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  appended(channel: ChannelView, records: readonly AppendRecord[]): void {
    const { key } = channel.name;
    let growth = this.#growth.get(key);
    if (growth === undefined) {
      if (this.#growth.size >= MAX_CHANNELS) return;
      growth = { messages: 0, bytes: 0, trimming: false };
      this.#growth.set(key, growth);
    }
    growth.messages += records.length;
    for (const { body } of records) growth.bytes += body.length;
    const { maxMessages, maxBytes } = channel.config.retention;
    const much =
      growth.messages >= Math.max(MIN_MESSAGES, maxMessages / PARTS) ||
      growth.bytes >= Math.max(MIN_BYTES, maxBytes / PARTS);
    if (much && !growth.trimming) void this.#trim(channel, growth);
  }

  async #trim(channel: ChannelView, growth: Growth): Promise<void> {
    growth.trimming = true;
    growth.messages = 0;
    growth.bytes = 0;
    try {
      await channel.log.trim(channel.name, channel.config.retention);
    } catch (error) {
      this.#logger.warn({ error, channel: channel.name.key }, "a channel could not be trimmed; the next round will");
    } finally {
      growth.trimming = false;
      if (growth.messages === 0) this.#growth.delete(channel.name.key);
    }
  }
}
