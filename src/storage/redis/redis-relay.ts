import type { Stop } from "../../core/clock.ts";
import type { Relay, RelayListener } from "../relay.ts";
import type { StorageLogger } from "../storage-adapter.ts";
import type { Publisher } from "./publisher.ts";

/** Packets over pub/sub, as they are. */
export class RedisRelay implements Relay {
  readonly #publisher: Publisher;
  readonly #channel: string;
  readonly #log: StorageLogger;
  #listeners: readonly RelayListener[] = [];

  constructor(publisher: Publisher, channel: string, log: StorageLogger) {
    this.#publisher = publisher;
    this.#channel = channel;
    this.#log = log;
  }

  send(packet: Uint8Array): void {
    this.#publisher.publish(this.#channel, packet);
  }

  listen(listener: RelayListener): Stop {
    // Wrapped: the same listener may listen twice, and each stop ends its own.
    const entry: RelayListener = {
      packet: (packet) => listener.packet(packet),
      missed: () => listener.missed(),
    };
    this.#listeners = [...this.#listeners, entry];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== entry);
    };
  }

  /** A message of the channel. */
  heard(message: Buffer): void {
    this.#tell((listener) => listener.packet(message));
  }

  /** The listening connection was away. */
  missed(): void {
    this.#tell((listener) => listener.missed());
  }

  #tell(call: (listener: RelayListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        call(listener);
      } catch (error) {
        this.#log.error({ err: error }, "a relay listener threw; it stays registered");
      }
    }
  }
}
