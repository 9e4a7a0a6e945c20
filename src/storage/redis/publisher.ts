import type { SideConnection } from "./side-connection.ts";

/**
 * Publishes on a connection of its own, so that what one node sends keeps its order in a cluster, too, and no append waits
 * behind a large packet.
 */
export class Publisher {
  readonly #connection: SideConnection;
  readonly #maxBytes: number;
  readonly #onRoom: () => void;
  #pendingBytes = 0;
  #hasDropped = false;

  /** `onRoom` is called when something was dropped for want of room, and all that was on its way has left. */
  constructor(connection: SideConnection, maxBytes: number, onRoom: () => void) {
    this.#connection = connection;
    this.#maxBytes = maxBytes;
    this.#onRoom = onRoom;
  }

  /** False: dropped, because the connection is away or too much is on its way. */
  publish(channel: string, packet: string | Uint8Array): boolean {
    const { redis } = this.#connection;
    const { length } = packet;
    if (redis === undefined || redis.status !== "ready") return false;
    if (this.#pendingBytes + length > this.#maxBytes) {
      this.#hasDropped = true;
      return false;
    }
    this.#pendingBytes += length;
    const payload = typeof packet === "string" ? packet : Buffer.from(packet.buffer, packet.byteOffset, length);
    const settle = () => {
      this.#pendingBytes -= length;
      if (this.#pendingBytes > 0 || !this.#hasDropped) return;
      this.#hasDropped = false;
      this.#onRoom();
    };
    redis.publish(channel, payload).then(settle, settle);
    return true;
  }
}
