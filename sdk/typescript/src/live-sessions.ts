import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { Http2SessionManager } from "@connectrpc/connect-node";

/** What the transport needs of it. */
type SessionManager = Pick<Http2SessionManager, "authority" | "request" | "notifyResponseByteRead">;

export interface LivenessOptions {
  /** A PING is sent so often while something is open. */
  readonly pingIntervalMs: number;
  /** How long its answer may take, and a connection to be opened. */
  readonly pingTimeoutMs: number;
}

/**
 * The HTTP/2 connection to one server, given up when the server shows no sign of life. The session manager's own
 * keep-alive is not used: it counts what the program has read and not what came, and a program that is busy for longer
 * than the timeout would lose a healthy connection to it.
 */
export class LiveSessions implements SessionManager {
  readonly authority: string;
  readonly #manager: Http2SessionManager;
  readonly #options: LivenessOptions;
  readonly #watched = new WeakMap<ClientHttp2Session, SessionWatch>();

  constructor(url: string, options: LivenessOptions) {
    this.#manager = new Http2SessionManager(url);
    this.authority = this.#manager.authority;
    this.#options = options;
  }

  async request(...request: Parameters<SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await this.#connected(this.#manager.request(...request));
    const { session } = stream;
    if (session !== undefined && !session.destroyed) this.#watch(session as ClientHttp2Session).add(stream);
    return stream;
  }

  notifyResponseByteRead(stream: ClientHttp2Stream): void {
    this.#manager.notifyResponseByteRead(stream);
  }

  abort(): void {
    this.#manager.abort();
  }

  /** A host that swallows what it is sent would be waited for as long as the kernel does, which is minutes. */
  async #connected(request: Promise<ClientHttp2Stream>): Promise<ClientHttp2Stream> {
    if (this.#manager.state() !== "connecting") return await request;
    const { pingTimeoutMs } = this.#options;
    const timer = setTimeout(() => {
      if (this.#manager.state() !== "connecting") return;
      this.#manager.abort(new ConnectError(`no connection within ${pingTimeoutMs} ms`, Code.Unavailable));
    }, pingTimeoutMs);
    try {
      return await request;
    } finally {
      clearTimeout(timer);
    }
  }

  #watch(session: ClientHttp2Session): SessionWatch {
    const known = this.#watched.get(session) ?? new SessionWatch(session, this.#options);
    this.#watched.set(session, known);
    return known;
  }
}

/**
 *   quiet ──a stream opens──▶ resting ──after the interval──▶ asked ──nothing came for the timeout──▶ given up
 *     ▲                          ▲                              │
 *     └──── no stream is open ───┴──────── anything came ───────┘
 *
 * It is asked as well when there is traffic: that costs little beside the traffic, and silence is noticed in time.
 */
class SessionWatch {
  readonly #session: ClientHttp2Session;
  readonly #timeoutMs: number;
  #intervalMs: number;
  #streams = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(session: ClientHttp2Session, { pingIntervalMs, pingTimeoutMs }: LivenessOptions) {
    this.#session = session;
    this.#intervalMs = pingIntervalMs;
    this.#timeoutMs = pingTimeoutMs;
    session.once("close", () => clearTimeout(this.#timer));
    // Between its end and the news of it the manager may have opened another, and listens to this one no more.
    session.on("error", () => {});
    session.on("goaway", (_code, _stream, data) => {
      // A proxy in between finds them too many: half as often, as gRPC has it.
      if (data?.toString("latin1") === "too_many_pings") this.#intervalMs *= 2;
    });
  }

  add(stream: ClientHttp2Stream): void {
    this.#streams++;
    stream.once("close", () => this.#streams--);
    if (this.#timer === undefined) this.#rest();
  }

  /** Timers do not keep the process alive: the streams do. */
  #after(ms: number, then: () => void): void {
    this.#timer = setTimeout(then, ms).unref();
  }

  #rest(): void {
    this.#after(this.#intervalMs, () => {
      if (!this.#session.destroyed) this.#ask();
    });
  }

  #goOn(): void {
    this.#timer = undefined;
    if (this.#streams > 0) this.#rest();
  }

  // Also when the last stream was just left, perhaps because nothing came: whoever uses the connection next should not
  // have to find out again.
  #ask(): void {
    try {
      this.#session.ping(() => {});
    } catch {
      // It is closing, or too many are unanswered: then only what comes counts.
    }
    const { bytesRead } = this.#session.socket;
    const dueAt = performance.now() + this.#timeoutMs;
    this.#after(this.#timeoutMs, () => {
      // What came while the program was busy with something else has not been told yet.
      setImmediate(() => {
        if (this.#session.destroyed) return;
        if (this.#session.socket.bytesRead > bytesRead) this.#goOn();
        else if (performance.now() > dueAt + this.#timeoutMs / 2) this.#ask();
        else this.#giveUp();
      });
    });
  }

  #giveUp(): void {
    const error = new ConnectError(`nothing came from the server for ${this.#timeoutMs} ms`, Code.Unavailable);
    this.#session.destroy(error, constants.NGHTTP2_CANCEL);
  }
}
