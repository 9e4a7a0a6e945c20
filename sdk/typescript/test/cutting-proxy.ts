import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP proxy that cuts every connection through it when told to, or swallows what is said on them. */
export class CuttingProxy {
  readonly #target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #swallowing = false;
  cuts = 0;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((client) => this.#relay(client));
  }

  static async to(port: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(port);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resets everything that is open; what is in flight is lost. */
  cut(): void {
    this.cuts++;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** From now on no byte, no FIN and no reset passes; one can connect, and nobody answers. */
  swallow(): void {
    this.#swallowing = true;
  }

  /** Connections that are made from now on are served again. */
  release(): void {
    this.#swallowing = false;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #relay(client: Socket): void {
    const upstream = connect(this.#target, "127.0.0.1");
    const ends: [Socket, Socket][] = [
      [client, upstream],
      [upstream, client],
    ];
    let isDead = this.#swallowing;
    for (const [socket, other] of ends) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => {
        // A link that swallowed something has a hole, and never works again.
        isDead ||= this.#swallowing;
        if (!isDead) other.write(chunk);
      });
      socket.on("close", () => {
        this.#sockets.delete(socket);
        if (!isDead && !this.#swallowing) other.destroy();
      });
    }
  }
}
