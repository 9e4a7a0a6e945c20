import { randomUUID } from "node:crypto";
import type { Stop } from "../../core/clock.ts";
import type { Relay, RelayListener } from "../relay.ts";
import type { StorageEnvironment } from "../storage-adapter.ts";
import { bundle, bundledBytes, unbundle } from "./packet-bundle.ts";
import { MAX_PAYLOAD_BYTES } from "./postgres-doorbell.ts";
import { CARELESS } from "./session.ts";
import type { SignalHandler, SignalLine } from "./signal-line.ts";

/** Packets go together in one notification, or in one row, up to so many bytes. */
const MAX_BUNDLE_BYTES = 8 * 2 ** 20;
/** Notifications that wait for a row to be read before them. */
const MAX_WAITING = 10_000;
/** A row is read as soon as its notification comes. */
const PACKET_LIFE_MS = 60_000;

const NOTIFY = { text: `SELECT ${CARELESS}, pg_notify($1, $2)` };

export interface PostgresRelayOptions {
  readonly line: SignalLine;
  readonly schema: string;
  readonly channel: string;
  /** Another one for each node. */
  readonly sender: string;
  readonly environment: StorageEnvironment;
  readonly maxBytes: number;
}

/**
 * Carries packets by NOTIFY: in base64 while they fit, else in a row of an unlogged table, which the notification names.
 * A payload is `<sender> =<base64>` or `<sender> #<id>`.
 */
export class PostgresRelay implements Relay, SignalHandler {
  readonly #line: SignalLine;
  readonly #schema: string;
  readonly #channel: string;
  readonly #sender: string;
  readonly #environment: StorageEnvironment;
  /** Of what waits to be sent, and of what waits to be heard; beyond, packets are dropped. */
  readonly #maxBytes: number;
  readonly #listeners = new Set<{ readonly listener: RelayListener }>();
  #packets: Uint8Array[] = [];
  #packetBytes = 0;
  #isSending = false;
  /** Payloads in the order in which they came; the first is being worked on. */
  #heard: string[] = [];
  #heardBytes = 0;
  #isReading = false;

  constructor({ line, schema, channel, sender, environment, maxBytes }: PostgresRelayOptions) {
    this.#line = line;
    this.#schema = schema;
    this.#channel = channel;
    this.#sender = sender;
    this.#environment = environment;
    this.#maxBytes = maxBytes;
    line.handle(channel, this);
  }

  send(packet: Uint8Array): void {
    const bytes = bundledBytes(packet);
    if (!this.#line.isUp || this.#packetBytes + bytes > this.#maxBytes) return;
    this.#packets.push(packet);
    this.#packetBytes += bytes;
    if (this.#isSending) return;
    this.#isSending = true;
    setImmediate(() => void this.#flush());
  }

  listen(listener: RelayListener): Stop {
    const entry = { listener };
    this.#listeners.add(entry);
    return () => void this.#listeners.delete(entry);
  }

  notified(payload: string): void {
    if (payload.startsWith(`${this.#sender} `)) return;
    if (this.#heard.length >= MAX_WAITING || this.#heardBytes + payload.length > this.#maxBytes) {
      this.#heard = [];
      this.#heardBytes = 0;
      this.#tell((listener) => listener.missed());
      return;
    }
    this.#heard.push(payload);
    this.#heardBytes += payload.length;
    if (!this.#isReading) void this.#read();
  }

  restored(): void {
    this.#tell((listener) => listener.missed());
  }

  /** How old rows must be to be removed: whoever listens has read them, or never will. */
  get sweepStatement(): { readonly text: string } {
    const age = `${PACKET_LIFE_MS} * interval '1 millisecond'`;
    return { text: `DELETE FROM ${this.#schema}.packet WHERE created_at < clock_timestamp() - ${age}` };
  }

  async #flush(): Promise<void> {
    while (this.#packets.length > 0) {
      const block = bundle(this.#take());
      try {
        await this.#sendBlock(block);
      } catch {
        // At most once: whoever numbers the packets sees the hole.
      }
    }
    this.#isSending = false;
  }

  #take(): Uint8Array[] {
    let bytes = 0;
    let count = 0;
    for (const packet of this.#packets) {
      bytes += bundledBytes(packet);
      if (count > 0 && bytes > MAX_BUNDLE_BYTES) break;
      count++;
    }
    const taken = this.#packets.splice(0, count);
    for (const packet of taken) this.#packetBytes -= bundledBytes(packet);
    return taken;
  }

  async #sendBlock(block: Buffer): Promise<void> {
    const prefix = `${this.#sender} =`;
    const base64Bytes = Math.ceil(block.length / 3) * 4;
    if (prefix.length + base64Bytes <= MAX_PAYLOAD_BYTES) {
      await this.#line.query(NOTIFY, [this.#channel, prefix + block.toString("base64")]);
      return;
    }
    const text = `WITH stored AS (INSERT INTO ${this.#schema}.packet (id, body) VALUES ($3, $4) RETURNING id)
                  SELECT ${CARELESS}, pg_notify($1, $2) FROM stored`;
    const id = randomUUID();
    await this.#line.query({ text }, [this.#channel, `${this.#sender} #${id}`, id, block]);
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    for (let payload = this.#heard.shift(); payload !== undefined; payload = this.#heard.shift()) {
      this.#heardBytes -= payload.length;
      const at = payload.indexOf(" ") + 1;
      const content = payload.slice(at + 1);
      try {
        const block = payload[at] === "#" ? await this.#fetch(content) : Buffer.from(content, "base64");
        for (const packet of unbundle(block)) this.#tell((listener) => listener.packet(packet));
      } catch (error) {
        this.#environment.log.warn({ err: error }, "a packet of another node could not be read");
        this.#tell((listener) => listener.missed());
      }
    }
    this.#isReading = false;
  }

  async #fetch(id: string): Promise<Buffer> {
    const text = `SELECT body FROM ${this.#schema}.packet WHERE id = $1`;
    const [row] = await this.#line.query<{ body: Buffer }>({ text }, [id]);
    if (row === undefined) throw new Error(`packet ${id} is gone`);
    return row.body;
  }

  #tell(what: (listener: RelayListener) => void): void {
    for (const { listener } of [...this.#listeners]) {
      try {
        what(listener);
      } catch (error) {
        this.#environment.log.error({ err: error }, "a relay listener threw; it stays registered");
      }
    }
  }
}
