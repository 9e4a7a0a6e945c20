import { createHash } from "node:crypto";
import type { Clock, Stop } from "../../core/clock.ts";
import { BusError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Directory, DirectoryRecord, RecordKey } from "../../storage/directory.ts";
import type { Doorbell } from "../../storage/doorbell.ts";
import { mapBounded } from "../bounded.ts";
import { PendingWrites } from "../directory/pending-writes.ts";

/** A claim that is written within this time after its stream opened is the newest; a later one has to prove it. */
const PROMPT_MS = 2_000;
/** A claim that was written behind ours is at most so much older than ours; older ones a restored storage brought back. */
const STALE_MS = 5_000;
/** A lost ring is made good after this long. */
const POLL_MS = 30_000;
/** What could not be read is read again after this long. */
const RETRY_MS = 1_000;
const PAGE = 1_000;
const MAX_ATTEMPTS = 10;

/** One stream that wants a name for itself. */
export interface ExclusiveStream {
  /** Counts up in the order in which streams of this node were asked for. */
  readonly order: number;
  /** A newer stream has the name: this one ends. */
  readonly takenOver: () => void;
}

export interface ExclusiveNamesOptions {
  readonly directory: Directory;
  readonly doorbell: Doorbell;
  readonly clock: Clock;
  readonly log: Logger;
  readonly storeNow: () => number;
  /** Other nodes use the storage, too; false: what this node knows is all there is. */
  readonly shared: boolean;
  /** This node's instance now. */
  readonly instance: () => string;
  /** Whether what another instance claims counts. */
  readonly isLive: (instance: string) => boolean;
}

interface Slot {
  readonly key: RecordKey;
  readonly name: string;
  /** Undefined: its stream has closed, the record is to be removed. */
  stream: ExclusiveStream | undefined;
  readonly openedAtMs: number;
  /** On the monotonic clock. */
  readonly openedAt: number;
  /** When the claim was written last, as `#writes` counts; what was read before says nothing of it. */
  writtenAt: number;
}

interface Claim {
  readonly name: string;
  readonly instance: string;
  readonly openedAtMs: number;
}

/**
 * Of all streams of an agent with the same exclusive name, over all nodes, the newest stays. On this node that is decided
 * at once. Between nodes the claim that is written last wins, as one record; its writer never waits, so the older stream
 * hears of it a moment later. While the storage is away only this node's streams are compared; a claim that could not be
 * written in time compares clocks with the one that it then finds.
 */
export class ExclusiveNames {
  readonly #options: ExclusiveNamesOptions;
  readonly #slots = new Map<string, Slot>();
  readonly #pending: PendingWrites;
  /** The highest version that a claim named which got no answer: for as long as it stands, that claim may still be stored. */
  readonly #unanswered = new Map<string, number>();
  readonly #stops: Stop[] = [];
  #stopRetry: Stop | undefined;
  #closed = false;
  #writes = 0;
  /** Where the next sweep goes on. */
  #swept: { readonly parent: string; readonly id: string } | undefined;

  constructor(options: ExclusiveNamesOptions) {
    const { clock, log, doorbell, shared } = options;
    this.#options = options;
    this.#pending = new PendingWrites({
      clock,
      log,
      what: "claims of exclusive names",
      write: (id) => this.#write(id),
    });
    if (!shared) return;
    this.#stops.push(
      doorbell.listen((ring) => {
        if (ring.topic === "missed") void this.#poll();
        if (ring.topic === "record" && ring.key.kind === "exclusive") void this.#rung(ring.key);
      }),
      clock.every(POLL_MS, () => void this.#poll()),
    );
  }

  /** A stream has opened and wants the name; the older one of the two on this node ends now. */
  claim(agentId: string, name: string, stream: ExclusiveStream): void {
    const { clock, storeNow, shared } = this.#options;
    const key = exclusiveKey(agentId, name);
    const id = slotOf(key);
    const other = this.#slots.get(id)?.stream;
    if (other !== undefined && other.order > stream.order) {
      stream.takenOver();
      return;
    }
    const openedAt = clock.monotonic();
    this.#slots.set(id, { key, name, stream, openedAtMs: storeNow(), openedAt, writtenAt: 0 });
    if (shared) this.#pending.add(id);
    other?.takenOver();
  }

  /** The stream has closed. Nothing happens when the name was not its own. */
  release(agentId: string, name: string, stream: ExclusiveStream): void {
    const id = slotOf(exclusiveKey(agentId, name));
    const slot = this.#slots.get(id);
    if (slot?.stream !== stream) return;
    if (!this.#options.shared) this.#slots.delete(id);
    else {
      slot.stream = undefined;
      this.#pending.add(id);
    }
  }

  /** Nothing that this node claimed counts any more: it is another instance now. */
  claimAgain(): void {
    for (const id of this.#slots.keys()) this.#pending.add(id);
  }

  /** Removes claims of instances that are gone, some of all at a time. Throws STORAGE_UNAVAILABLE. */
  async sweep(gone: (instances: Iterable<string>) => Promise<readonly string[]>): Promise<void> {
    const { directory } = this.#options;
    const page = await directory.list({ kind: "exclusive", limit: PAGE, ...(this.#swept && { after: this.#swept }) });
    this.#swept = page.length < PAGE ? undefined : page.at(-1)?.key;
    const instanceOf = (record: DirectoryRecord) => (record.value as Claim).instance;
    const dead = new Set(page.length === 0 ? [] : await gone(new Set(page.map(instanceOf))));
    const left = page.filter((record) => dead.has(instanceOf(record)));
    await mapBounded(left, ({ key, version }) => directory.delete(key, version));
  }

  /** Stops every timer, and writes what is not written yet. Never fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopRetry?.();
    for (const stop of this.#stops.splice(0)) stop();
    await this.#pending.flush();
    this.#pending.close();
  }

  async #write(id: string): Promise<void> {
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    if (slot.stream === undefined) await this.#removeClaim(id, slot);
    else await this.#putClaim(id, slot);
  }

  /** Whether a stream here has the name; the claim of one that has closed is removed behind what is being done now. */
  #isWanted(id: string): boolean {
    return this.#slots.get(id)?.stream !== undefined;
  }

  async #putClaim(id: string, slot: Slot): Promise<void> {
    const { directory, doorbell, instance } = this.#options;
    const { key, name, openedAtMs } = slot;
    let current: DirectoryRecord | undefined;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const claim: Claim = { name, instance: instance(), openedAtMs };
      const expectedVersion = current?.version ?? 0;
      this.#unanswered.set(id, Math.max(expectedVersion, this.#unanswered.get(id) ?? 0));
      const outcome = await directory.put(key, claim, { expectedVersion });
      if (outcome.kind === "stored") {
        this.#unanswered.delete(id);
        if (this.#isWanted(id)) {
          slot.writtenAt = ++this.#writes;
          doorbell.ring({ topic: "record", key });
        } else {
          // Its client left while it was stored. Nobody has heard of it, so nobody gives way to a stream that is gone.
          await directory.delete(key, outcome.version);
        }
        return;
      }
      if (!this.#isWanted(id)) return;
      current = outcome.kind === "conflict" ? outcome.current : undefined;
      if (current !== undefined && this.#isNewer(current.value as Claim, slot)) return this.#lose(id, slot);
    }
    throw new BusError("CONCURRENT_UPDATE", `exclusive ${name}: others claim it all the time`);
  }

  async #removeClaim(id: string, slot: Slot): Promise<void> {
    const { directory, instance } = this.#options;
    const { key } = slot;
    const current = await directory.get(key);
    if (current !== undefined && (current.value as Claim).instance === instance()) {
      await directory.delete(key, current.version);
    } else if (current !== undefined && this.#unanswered.get(id) === current.version) {
      // Another node's, which a claim of ours without an answer may still replace: not once it has another version.
      await directory.put(key, current.value, { expectedVersion: current.version });
    }
    if (this.#slots.get(id) !== slot) return;
    this.#slots.delete(id);
    this.#unanswered.delete(id);
  }

  /** Whether the claim that is there belongs to a newer stream of another node. */
  #isNewer(claim: Claim, slot: Slot): boolean {
    const { clock, instance, isLive } = this.#options;
    if (claim.instance === instance() || !isLive(claim.instance)) return false;
    const prompt = clock.monotonic() - slot.openedAt <= PROMPT_MS;
    return !prompt && claim.openedAtMs > slot.openedAtMs;
  }

  #lose(id: string, slot: Slot): void {
    if (this.#slots.get(id) !== slot) return;
    this.#slots.delete(id);
    this.#unanswered.delete(id);
    slot.stream?.takenOver();
  }

  /** Somebody wrote the record. While our own claim is on its way, what it meets decides, and not what is there now. */
  async #rung(key: RecordKey): Promise<void> {
    const id = slotOf(key);
    if (!this.#slots.has(id) || this.#pending.has(id)) return;
    const asked = this.#writes;
    try {
      const record = await this.#options.directory.get(key);
      if (record !== undefined) this.#heard(record, asked);
    } catch (error) {
      this.#pollSoon(error);
    }
  }

  async #poll(): Promise<void> {
    if (this.#slots.size === 0) return;
    try {
      let after: { parent: string; id: string } | undefined;
      do {
        const asked = this.#writes;
        const request = { kind: "exclusive", limit: PAGE, ...(after && { after }) };
        const page = await this.#options.directory.list(request);
        for (const record of page) this.#heard(record, asked);
        after = page.length < PAGE ? undefined : page.at(-1)?.key;
      } while (after !== undefined);
    } catch (error) {
      this.#pollSoon(error);
    }
  }

  #pollSoon(error: unknown): void {
    if (this.#closed || this.#stopRetry !== undefined) return;
    const { clock, log } = this.#options;
    log.debug({ err: error }, "claims of exclusive names could not be read; it is tried again until they are");
    this.#stopRetry = clock.after(RETRY_MS, () => {
      this.#stopRetry = undefined;
      void this.#poll();
    });
  }

  #heard({ key, value, version }: DirectoryRecord, asked: number): void {
    const { directory, instance, log } = this.#options;
    const id = slotOf(key);
    const slot = this.#slots.get(id);
    const claim = value as Claim;
    const isOurs = claim.instance === instance();
    if (slot === undefined && isOurs) {
      // Stored after all, long after its stream had closed and nothing was found to remove.
      directory.delete(key, version).catch((error: unknown) => {
        log.debug({ err: error }, "a claim of a stream that is gone could not be removed; it is tried again");
      });
    }
    if (slot === undefined || isOurs || this.#pending.has(id) || slot.writtenAt > asked) return;
    if (claim.openedAtMs < slot.openedAtMs - STALE_MS) this.#pending.add(id);
    else this.#lose(id, slot);
  }
}

/** Names may hold any characters, ids of records may not. */
function exclusiveKey(agentId: string, name: string): RecordKey {
  const plain = /^[A-Za-z0-9._-]{1,100}$/.test(name);
  const id = plain ? name : `~${createHash("sha256").update(name).digest("base64url")}`;
  return { kind: "exclusive", parent: agentId, id };
}

function slotOf({ parent, id }: RecordKey): string {
  return `${parent}\n${id}`;
}
