import type { SideConnection } from "./side-connection.ts";

/**
 * Publishes on a connection of its own, so that what one node sends keeps its order in a cluster, too, and no append waits
 * behind a large packet.
 */
export class Publisher {
  readonly #connection: SideConnection;
  readonly #maxBytes: number;
  #pendingBytes = 0;

  constructor(connection: SideConnection, maxBytes: number) {
    this.#connection = connection;
    this.#maxBytes = maxBytes;
  }

  /** False: dropped, because the connection is away or too much is on its way. */
  publish(channel: string, packet: string | Uint8Array): boolean {
    const { redis } = this.#connection;
    const { length } = packet;
    if (redis === undefined || redis.status !== "ready" || this.#pendingBytes + length > this.#maxBytes) return false;
    this.#pendingBytes += length;
    const payload = typeof packet === "string" ? packet : Buffer.from(packet.buffer, packet.byteOffset, length);
    const settle = () => {
      this.#pendingBytes -= length;
    };
    redis.publish(channel, payload).then(settle, settle);
    return true;
  }
}
