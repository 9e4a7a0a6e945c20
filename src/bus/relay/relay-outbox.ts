import type { Clock, Stop } from "../../core/clock.ts";
import type { AppendBatch, AppendRecord } from "../../storage/message-log.ts";
import type { Relay } from "../../storage/relay.ts";
import { encodeRelayPacket, type RelayedBatch, relayedBytes } from "./relay-packet.ts";

/** What is stored in one turn of the event loop goes in one packet, up to so many bytes. */
const PACKET_BYTES = 262_144;
/** A record that is larger is not sent, because a relay takes packets of at most 8 MiB. */
const MAX_RECORD_BYTES = 8 * 1_048_576 - PACKET_BYTES;
const BEAT_MS = 1_000;
/** After so many quiet seconds the last number is told again; then every so many. */
const BEATS = [1, 2];
const BEAT_EVERY = 10;

/** Sends what this node stores in VOLATILE channels, in numbered packets: whoever misses one finds out. */
export class RelayOutbox {
  readonly origin: string;
  readonly #relay: Relay;
  readonly #clock: Clock;
  #stop: Stop | undefined;
  #number = 0;
  #batches: RelayedBatch[] = [];
  #bytes = 0;
  #scheduled = false;
  #quiet = 0;

  constructor(origin: string, relay: Relay, clock: Clock) {
    this.origin = origin;
    this.#relay = relay;
    this.#clock = clock;
  }

  /** A lost packet shows by the next one's number; where none follows, by what is told from now on. */
  startBeats(): void {
    this.#stop = this.#clock.every(BEAT_MS, () => this.#beat());
  }

  add({ name, incarnation, version }: AppendBatch, records: readonly AppendRecord[]): void {
    for (let from = 0; from < records.length; ) {
      let end = from;
      let bytes = 0;
      while (end < records.length && (end === from || bytes < PACKET_BYTES)) bytes += relayedBytes(records[end++]!);
      this.#put({ name, incarnation, version, records: records.slice(from, end) }, bytes);
      from = end;
    }
  }

  close(): void {
    this.#flush();
    this.#stop?.();
  }

  #put(batch: RelayedBatch, bytes: number): void {
    if (bytes > MAX_RECORD_BYTES + PACKET_BYTES) {
      // Its number is never sent: the others are told that something is missing.
      this.#flush();
      this.#number++;
      return;
    }
    if (this.#bytes > 0 && this.#bytes + bytes > PACKET_BYTES) this.#flush();
    this.#batches.push(batch);
    this.#bytes += bytes;
    if (this.#bytes >= PACKET_BYTES) {
      this.#flush();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      this.#clock.defer(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
  }

  #flush(): void {
    if (this.#batches.length === 0) return;
    const batches = this.#batches;
    this.#batches = [];
    this.#bytes = 0;
    this.#quiet = 0;
    this.#relay.send(encodeRelayPacket({ origin: this.origin, number: ++this.#number, batches }));
  }

  #beat(): void {
    this.#quiet++;
    if (!BEATS.includes(this.#quiet) && this.#quiet % BEAT_EVERY !== 0) return;
    this.#relay.send(encodeRelayPacket({ origin: this.origin, number: this.#number, batches: [] }));
  }
}
