/** Keys older than this are never asked for: no channel's deduplication window is longer. */
export const MAX_DEDUP_WINDOW_MS = 600_000;

export const DEFAULT_DEDUP_KEYS = 1_000_000;

const FIRST_CAPACITY = 4_096;
/** Few steps, because each rehashes everything; what is allocated and not yet used costs no memory. */
const GROWTH = 16;

/**
 * The idempotency keys of all logs of one bus, each with the message stored under it.
 *
 * Keys are kept as 96-bit fingerprints of (log, sender, key), seeded at random for each process: 44 bytes a key, and
 * a coincidence among a million keys has odds of 1 to 10^22. Bounded: beyond `maxKeys` the oldest is forgotten, even when
 * it is younger than its channel's window. At r keyed messages a second the window reaches back maxKeys / r seconds.
 *
 * Keys are added in the order of acceptance, and the newest can be taken back when their commit fails.
 */
export class DedupWindow {
  readonly #maxKeys: number;
  readonly #seeds: readonly [number, number, number];
  #capacity = 0;
  /** Absolute numbers of the oldest key and of the next one; a key's slot is its number modulo the capacity. */
  #first = 0;
  #next = 0;
  #prints = new Uint32Array(0);
  #epochs = new Uint32Array(0);
  #digests = new Float64Array(0);
  #sequences = new Float64Array(0);
  #acceptedAt = new Float64Array(0);
  /** Open addressing: slot + 1, or 0 for none. */
  #buckets = new Int32Array(0);
  #mask = 0;

  // The fingerprint of the last lookup, for remember().
  #a = 0;
  #b = 0;
  #c = 0;
  // The state after (scope, sender): one sender publishes many messages in a row.
  #prefixScope = -1;
  #prefixSender = "";
  #prefixA = 0;
  #prefixB = 0;
  #prefixC = 0;

  /** `random` gives unsigned 32-bit numbers. */
  constructor(maxKeys: number, random: () => number) {
    this.#maxKeys = maxKeys;
    this.#seeds = [random(), random(), random()];
    this.#resize(Math.min(FIRST_CAPACITY, maxKeys));
  }

  get size(): number {
    return this.#next - this.#first;
  }

  /**
   * Where the key is kept, or -1. The number is good until the next change. `scope` is the log's number, another one for
   * each incarnation: a log that is gone needs no clean-up here.
   */
  lookup(scope: number, sender: string, key: string): number {
    this.#fingerprint(scope, sender, key);
    const bucket = this.#bucketOf(this.#a, this.#b, this.#c);
    return this.#buckets[bucket]! - 1;
  }

  sequenceAt(slot: number): number {
    return this.#sequences[slot]!;
  }

  epochAt(slot: number): number {
    return this.#epochs[slot]!;
  }

  acceptedAtMsAt(slot: number): number {
    return this.#acceptedAt[slot]!;
  }

  contentDigestAt(slot: number): number {
    return this.#digests[slot]!;
  }

  /** Adds the key of the last lookup; when it is kept already, the newer message takes its place. */
  remember(sequence: number, epoch: number, acceptedAtMs: number, contentDigest: number): void {
    const a = this.#a;
    const b = this.#b;
    const c = this.#c;
    this.#makeRoom(acceptedAtMs);
    const slot = this.#next++ % this.#capacity;
    this.#prints[slot * 3] = a;
    this.#prints[slot * 3 + 1] = b;
    this.#prints[slot * 3 + 2] = c;
    this.#epochs[slot] = epoch;
    this.#digests[slot] = contentDigest;
    this.#sequences[slot] = sequence;
    this.#acceptedAt[slot] = acceptedAtMs;
    this.#buckets[this.#bucketOf(a, b, c)] = slot + 1;
  }

  /** Names the present end, for rollback(). */
  mark(): number {
    return this.#next;
  }

  /** Forgets what was remembered since mark(). */
  rollback(mark: number): void {
    while (this.#next > mark && this.#next > this.#first) this.#forget(--this.#next % this.#capacity);
  }

  #makeRoom(nowMs: number): void {
    if (this.size === this.#capacity && this.#capacity < this.#maxKeys) {
      this.#resize(Math.min(this.#capacity * GROWTH, this.#maxKeys));
    }
    if (this.size === this.#capacity) this.#forget(this.#first++ % this.#capacity);
    // One key comes, at most two that are too old go: the work is spread and the window still shrinks.
    for (let i = 0; i < 2 && this.size > 0; i++) {
      const oldest = this.#first % this.#capacity;
      if (this.#acceptedAt[oldest]! + MAX_DEDUP_WINDOW_MS >= nowMs) return;
      this.#first++;
      this.#forget(oldest);
    }
  }

  #forget(slot: number): void {
    const bucket = this.#bucketOf(this.#prints[slot * 3]!, this.#prints[slot * 3 + 1]!, this.#prints[slot * 3 + 2]!);
    if (this.#buckets[bucket] !== slot + 1) return; // a newer message has the key
    // Closes the hole, so that no probe ends before what lies behind it.
    let hole = bucket;
    for (let i = (hole + 1) & this.#mask; this.#buckets[i] !== 0; i = (i + 1) & this.#mask) {
      const home = this.#prints[(this.#buckets[i]! - 1) * 3]! & this.#mask;
      if (((i - home) & this.#mask) < ((i - hole) & this.#mask)) continue;
      this.#buckets[hole] = this.#buckets[i]!;
      hole = i;
    }
    this.#buckets[hole] = 0;
  }

  /** The bucket that holds the fingerprint, or the free one where it belongs. */
  #bucketOf(a: number, b: number, c: number): number {
    const prints = this.#prints;
    let bucket = a & this.#mask;
    for (let held = this.#buckets[bucket]!; held !== 0; held = this.#buckets[bucket]!) {
      const at = (held - 1) * 3;
      if (prints[at] === a && prints[at + 1] === b && prints[at + 2] === c) break;
      bucket = (bucket + 1) & this.#mask;
    }
    return bucket;
  }

  #resize(capacity: number): void {
    const old = {
      capacity: this.#capacity,
      prints: this.#prints,
      epochs: this.#epochs,
      digests: this.#digests,
      sequences: this.#sequences,
      acceptedAt: this.#acceptedAt,
    };
    this.#capacity = capacity;
    this.#prints = new Uint32Array(capacity * 3);
    this.#epochs = new Uint32Array(capacity);
    this.#digests = new Float64Array(capacity);
    this.#sequences = new Float64Array(capacity);
    this.#acceptedAt = new Float64Array(capacity);
    // Half empty at least, so that probes stay short.
    this.#buckets = new Int32Array(2 ** Math.ceil(Math.log2(capacity * 2)));
    this.#mask = this.#buckets.length - 1;
    for (let number = this.#first; number < this.#next; number++) {
      const from = number % old.capacity;
      const to = number % capacity;
      for (let i = 0; i < 3; i++) this.#prints[to * 3 + i] = old.prints[from * 3 + i]!;
      this.#epochs[to] = old.epochs[from]!;
      this.#digests[to] = old.digests[from]!;
      this.#sequences[to] = old.sequences[from]!;
      this.#acceptedAt[to] = old.acceptedAt[from]!;
      const bucket = this.#bucketOf(this.#prints[to * 3]!, this.#prints[to * 3 + 1]!, this.#prints[to * 3 + 2]!);
      this.#buckets[bucket] = to + 1;
    }
  }

  #fingerprint(scope: number, sender: string, key: string): void {
    if (scope !== this.#prefixScope || sender !== this.#prefixSender) this.#prefix(scope, sender);
    let a = this.#prefixA;
    let b = this.#prefixB;
    let c = this.#prefixC;
    for (let i = 0; i < key.length; i++) {
      const unit = key.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x9e3779b1);
      b = Math.imul(b ^ unit, 0x85ebca77) ^ (b >>> 15);
      c = Math.imul(c + unit, 0xc2b2ae3d) ^ (c >>> 13);
    }
    this.#a = finish(a ^ (c >>> 7), key.length);
    this.#b = finish(b ^ (a >>> 11), this.#a);
    this.#c = finish(c ^ (b >>> 9), this.#b);
  }

  #prefix(scope: number, sender: string): void {
    let a = this.#seeds[0] ^ scope;
    let b = this.#seeds[1] + scope;
    let c = this.#seeds[2] ^ Math.floor(scope / 2 ** 32);
    a = Math.imul(a, 0x9e3779b1);
    b = Math.imul(b, 0x85ebca77);
    for (let i = 0; i < sender.length; i++) {
      const unit = sender.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x9e3779b1);
      b = Math.imul(b ^ unit, 0x85ebca77) ^ (b >>> 15);
      c = Math.imul(c + unit, 0xc2b2ae3d) ^ (c >>> 13);
    }
    // The length parts sender and key: ("ab", "c") is not ("a", "bc").
    this.#prefixA = finish(a, sender.length);
    this.#prefixB = finish(b, sender.length);
    this.#prefixC = finish(c, scope);
    this.#prefixScope = scope;
    this.#prefixSender = sender;
  }
}

/** Spreads every input bit over all output bits (the finalizer of MurmurHash3). */
function finish(hash: number, salt: number): number {
  let h = hash ^ Math.imul(salt, 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
