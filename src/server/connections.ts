import type { Server, Socket } from "node:net";

/** The TCP connections of a listener, from accept to close. */
export class Connections {
  /** Resolves once the listener is closed and no connection is open. */
  readonly closed: Promise<void>;
  readonly #open = new Set<Socket>();
  /** Those that have not shown their protocol. Under TLS: whose handshake is done. */
  readonly #undecided = new Set<Socket>();

  constructor(listener: Server, secure: boolean) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    let stopped = false;
    listener.once("close", () => {
      stopped = true;
      if (this.#open.size === 0) resolve();
    });
    listener.on("connection", (socket) => {
      this.#open.add(socket);
      socket.once("close", () => {
        this.#open.delete(socket);
        // Under TLS the listener is closed a moment before the last connection is.
        if (stopped && this.#open.size === 0) resolve();
      });
    });
    listener.on(secure ? "secureConnection" : "connection", (socket: Socket) => {
      this.#undecided.add(socket);
      socket.once("close", () => this.#undecided.delete(socket));
    });
  }

  get size(): number {
    return this.#open.size;
  }

  /** The connection shows its protocol: from here on that protocol's server looks after it. */
  decided(socket: Socket): void {
    this.#undecided.delete(socket);
  }

  /** Cuts those that carry no call because they have not said anything yet. */
  destroyUndecided(): void {
    for (const socket of this.#undecided) socket.destroy();
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy();
  }
}
