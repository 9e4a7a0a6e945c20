import { EventEmitter, once } from "node:events";
import net from "node:net";
import { createSeededRandom } from "./seeded-random.ts";

/**
 * A TCP proxy that misbehaves on demand, between a client and a server that know nothing of it. One accepted connection
 * is one link.
 */
export interface TcpProxy {
  readonly host: string;
  readonly port: number;
  /** Links that are open now, oldest first. */
  readonly links: readonly Link[];
  /** How many connections were accepted so far. */
  readonly accepted: number;
  /** The next connection that is accepted. Rejects when the proxy is closed before. */
  nextLink(): Promise<Link>;
  /** Cuts every open link. Answers how many. */
  cutAll(): number;
  /** While true, new connections are reset at once, as by a server that is down. */
  refuse(refusing: boolean): void;
  /**
   * From now on this is wrong with every link, open or new, in place of what was wrong before. `{}`: nothing, and what was
   * held back goes on.
   */
  impair(impairment: Impairment): void;
  /** From now on connections go to another port, for a server that came back elsewhere. Open links stay. */
  retarget(port: number): void;
  /**
   * Cuts every link at its own random age, drawn anew for each connection, until the answered function is called:
   * by a reset, or with "either" by a reset or a FIN. The draws follow the proxy's seed. The age counts from when
   * `sinceBytes` have come from the server (default: 0, from the beginning), so that on a slow machine links do not end
   * before anything was said on them.
   */
  cutEach(minMs: number, maxMs: number, how?: "reset" | "either", sinceBytes?: number): () => void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Link {
  /** From 1, in the order of acceptance. */
  readonly number: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly open: boolean;
  /** Both sides get a reset. */
  cut(): void;
  /** Both sides get a FIN, as from a peer that closes in good order, in the middle of whatever they were saying. */
  finish(): void;
  /** Nothing passes any more, in neither or in one direction, until resumed. The kernel's buffers fill up. */
  stall(direction?: Direction): void;
  resume(): void;
  /** What comes from now on is passed on this much later, in order. 0: at once. */
  delay(upMs: number, downMs?: number): void;
  /**
   * The server's side vanishes as in a power cut: the server's socket is reset, and the client hears nothing, no FIN and
   * no RST. With "server" the other way round.
   */
  vanish(fromWhom?: "client" | "server"): void;
  /** Resolves when the link is over. */
  readonly closed: Promise<void>;
}

export type Direction = "up" | "down" | "both";

export interface Impairment {
  /** What comes is passed on this much later, in milliseconds. Default: 0. */
  readonly delayUpMs?: number;
  readonly delayDownMs?: number;
  /**
   * Nothing passes in this direction, no byte, no FIN and no reset. One can still connect, and nobody answers. Default:
   * in none.
   */
  readonly blackHole?: Direction;
}

export interface TcpProxyOptions {
  readonly targetPort: number;
  /** Default: 127.0.0.1. */
  readonly targetHost?: string;
  /** Decides every draw. Default: 1. */
  readonly seed?: number;
}

const HOST = "127.0.0.1";
/** What one direction holds back while it is delayed; beyond it the sender is made to wait. */
const MAX_DELAYED_BYTES = 4 * 1024 * 1024;

export async function openTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const links = new Set<ProxyLink>();
  const events = new EventEmitter();
  const closing = new AbortController();
  const random = createSeededRandom(options.seed ?? 1);
  let targetPort = options.targetPort;
  let refusing = false;
  let accepted = 0;
  let impairment: Impairment = {};
  let cutWindow: CutWindow | undefined;
  const timers = new Set<NodeJS.Timeout>();

  async function cutLater(link: ProxyLink): Promise<void> {
    if (cutWindow === undefined) return;
    const window = cutWindow;
    const { minMs, maxMs, how, sinceBytes } = window;
    const atMs = minMs + random() * (maxMs - minMs);
    const clean = how === "either" && random() < 0.5;
    await link.answered(sinceBytes);
    if (cutWindow !== window || !link.open) return;
    const timer = setTimeout(() => (clean ? link.finish() : link.cut()), atMs);
    timers.add(timer);
    void link.closed.then(() => {
      clearTimeout(timer);
      timers.delete(timer);
    });
  }

  // Half-open: a FIN of one side is passed on, and the other direction stays up, as TCP has it.
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    if (refusing || closing.signal.aborted) {
      client.on("error", () => {}).resetAndDestroy();
      return;
    }
    const target = { host: options.targetHost ?? HOST, port: targetPort, allowHalfOpen: true, noDelay: true };
    const link = new ProxyLink(++accepted, client, net.connect(target));
    links.add(link);
    void link.closed.then(() => links.delete(link));
    link.suffer(impairment);
    void cutLater(link);
    events.emit("link", link);
  });
  server.listen(0, HOST);
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;

  const proxy: TcpProxy = {
    host: HOST,
    port,
    get links() {
      return [...links];
    },
    get accepted() {
      return accepted;
    },
    async nextLink() {
      const [link] = await once(events, "link", { signal: closing.signal });
      return link as Link;
    },
    cutAll() {
      const open = [...links];
      for (const link of open) link.cut();
      return open.length;
    },
    refuse(value) {
      refusing = value;
    },
    impair(value) {
      impairment = value;
      for (const link of links) link.suffer(value);
    },
    retarget(value) {
      targetPort = value;
    },
    cutEach(minMs, maxMs, how = "reset", sinceBytes = 0) {
      cutWindow = { minMs, maxMs, how, sinceBytes };
      for (const link of links) void cutLater(link);
      return () => {
        cutWindow = undefined;
        for (const timer of timers) clearTimeout(timer);
        timers.clear();
      };
    },
    async close() {
      closing.abort(new Error("the proxy was closed"));
      cutWindow = undefined;
      const ended = [...links].map((link) => link.closed);
      proxy.cutAll();
      await Promise.all(ended);
      if (!server.listening) return;
      server.close();
      await once(server, "close");
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  };
  return proxy;
}

interface CutWindow {
  readonly minMs: number;
  readonly maxMs: number;
  readonly how: "reset" | "either";
  readonly sinceBytes: number;
}

class ProxyLink implements Link {
  readonly number: number;
  readonly closed: Promise<void>;
  readonly #client: net.Socket;
  readonly #server: net.Socket;
  readonly #up: Pipe;
  readonly #down: Pipe;
  #halfDead = false;

  constructor(number: number, client: net.Socket, server: net.Socket) {
    this.number = number;
    this.#client = client;
    this.#server = server;
    this.#up = new Pipe(client, server);
    this.#down = new Pipe(server, client);
    const over = (socket: net.Socket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));
    this.closed = Promise.all([over(client), over(server)]).then(() => {});
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      // A reset is told as a reset: destroy() would turn it into a clean end.
      socket.on("error", () => !this.#halfDead && reset(other));
      socket.on("close", () => !this.#halfDead && socket.readableEnded === false && reset(other));
    }
  }

  get open(): boolean {
    return !this.#client.destroyed || !this.#server.destroyed;
  }
  get bytesUp(): number {
    return this.#up.bytes;
  }
  get bytesDown(): number {
    return this.#down.bytes;
  }

  /** Resolves when so many bytes have come from the server, or never. */
  answered(bytes: number): Promise<void> {
    return this.#down.passed(bytes);
  }

  cut(): void {
    reset(this.#client);
    reset(this.#server);
  }

  finish(): void {
    this.#client.destroy();
    this.#server.destroy();
  }

  stall(direction: Direction = "both"): void {
    if (direction !== "down") this.#up.stall();
    if (direction !== "up") this.#down.stall();
  }

  resume(): void {
    this.#up.resume();
    this.#down.resume();
  }

  delay(upMs: number, downMs = upMs): void {
    this.#up.delayMs = upMs;
    this.#down.delayMs = downMs;
  }

  suffer({ delayUpMs = 0, delayDownMs = 0, blackHole }: Impairment): void {
    if (this.#halfDead) return;
    this.delay(delayUpMs, delayDownMs);
    this.resume();
    if (blackHole !== undefined) this.stall(blackHole);
  }

  vanish(fromWhom: "client" | "server" = "client"): void {
    this.#halfDead = true;
    this.stall();
    const gone = fromWhom === "client" ? this.#server : this.#client;
    reset(gone);
  }
}

/**
 * A socket that is sending its FIN cannot be reset: libuv refuses with EINVAL, and then Node never says that the socket
 * is closed. Its peer is about to read the end of the stream anyway.
 */
function reset(socket: net.Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** One direction of a link: back-pressure is passed on, so a stalled reader is felt by the sender. */
class Pipe {
  bytes = 0;
  delayMs = 0;
  readonly #from: net.Socket;
  readonly #to: net.Socket;
  readonly #held: { readonly chunk: Buffer | undefined; readonly dueAt: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #heldBytes = 0;
  #stalled = false;
  #milestone = { bytes: Number.POSITIVE_INFINITY, reached: () => {} };

  constructor(from: net.Socket, to: net.Socket) {
    this.#from = from;
    this.#to = to;
    from.on("data", (chunk: Buffer) => this.#pass(chunk));
    from.on("end", () => this.#pass(undefined));
    to.on("drain", () => this.#flow());
    to.once("close", () => clearTimeout(this.#timer));
  }

  stall(): void {
    this.#stalled = true;
    this.#from.pause();
  }

  resume(): void {
    this.#stalled = false;
    this.#flow();
  }

  #flow(): void {
    if (!this.#stalled && !this.#to.writableNeedDrain && this.#heldBytes < MAX_DELAYED_BYTES) this.#from.resume();
  }

  passed(bytes: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.bytes >= bytes) resolve();
    else this.#milestone = { bytes, reached: resolve };
    return promise;
  }

  /** `undefined` is the FIN. Behind something that is held, everything is held, or the order would break. */
  #pass(chunk: Buffer | undefined): void {
    this.bytes += chunk?.length ?? 0;
    if (this.bytes >= this.#milestone.bytes) this.#milestone.reached();
    if (this.delayMs === 0 && this.#held.length === 0) {
      this.#write(chunk);
      return;
    }
    this.#heldBytes += chunk?.length ?? 0;
    if (this.#heldBytes >= MAX_DELAYED_BYTES) this.#from.pause();
    this.#held.push({ chunk, dueAt: performance.now() + this.delayMs });
    if (this.#held.length === 1) this.#releaseLater();
  }

  #releaseLater(): void {
    const first = this.#held[0];
    if (first === undefined || this.#to.destroyed) return;
    this.#timer = setTimeout(
      () => {
        this.#held.shift();
        this.#heldBytes -= first.chunk?.length ?? 0;
        this.#write(first.chunk);
        this.#flow();
        this.#releaseLater();
      },
      Math.max(first.dueAt - performance.now(), 0),
    );
  }

  #write(chunk: Buffer | undefined): void {
    if (this.#to.destroyed) return;
    if (chunk === undefined) this.#to.end();
    else if (!this.#to.write(chunk)) this.#from.pause();
  }
}
