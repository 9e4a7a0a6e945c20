import type { Stop } from "../core/clock.ts";

/**
 * Carries packets between the nodes of a bus: at most once, and those of one sender in their order. What a packet holds is
 * the bus's business; a backend sees bytes of at most 8 MiB.
 */
export interface Relay {
  /**
   * To all other nodes that listen now. Never waits and never fails: while the backend is away, or when more than a
   * bounded number of bytes waits to be sent, packets are dropped, and every receiver sees a hole in their numbers.
   */
  send(packet: Uint8Array): void;

  /** A packet may also come to the node that sent it. A listener that throws is logged and kept. */
  listen(listener: RelayListener): Stop;
}

export interface RelayListener {
  packet(packet: Uint8Array): void;
  /** The backend could not be heard for a while: packets of any node may be missing before the next one. */
  missed(): void;
}
