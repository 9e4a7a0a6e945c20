import { BusError } from "../../core/errors.ts";
import type { Directory, DirectoryRecord, ListRequest, PutOptions, PutOutcome, RecordKey } from "../directory.ts";
import { checkListLimit, expiryOf } from "../record-order.ts";
import type { Reader } from "./reader.ts";
import type { ChangeOutcome, DirectoryChange } from "./thread-protocol.ts";
import type { WriterSession } from "./writer-session.ts";

/** Changes go into the same commits as messages, reads to the reading thread. */
export class FileDirectory implements Directory {
  readonly #session: () => WriterSession;
  readonly #reader: Reader;
  readonly #now: () => number;

  /** `session` throws while there is none. */
  constructor(session: () => WriterSession, reader: Reader, now: () => number) {
    this.#session = session;
    this.#reader = reader;
    this.#now = now;
  }

  async get(key: RecordKey): Promise<DirectoryRecord | undefined> {
    this.#session();
    return await this.#reader.call("getRecord", { key, nowMs: this.#now() });
  }

  async put(key: RecordKey, value: object, options: PutOptions = {}): Promise<PutOutcome> {
    const { expectedVersion, maxInParent } = options;
    const expiresAtMs = expiryOf(options, this.#now());
    const json = JSON.stringify(value);
    return (await this.#change({ kind: "put", key, json, expectedVersion, maxInParent, expiresAtMs })) as PutOutcome;
  }

  async delete(key: RecordKey, expectedVersion?: number): Promise<boolean> {
    return (await this.#change({ kind: "delete", key, expectedVersion })) as boolean;
  }

  async list(request: ListRequest): Promise<readonly DirectoryRecord[]> {
    checkListLimit(request.limit);
    this.#session();
    return await this.#reader.call("listRecords", { request, nowMs: this.#now() });
  }

  async count(kind: string, parent: string): Promise<number> {
    this.#session();
    return await this.#reader.call("countRecords", { kind, parent, nowMs: this.#now() });
  }

  async #change(change: DirectoryChange): Promise<Exclude<ChangeOutcome, { kind: "damaged" }>> {
    const outcome = await this.#session().queue.change(change);
    if (typeof outcome === "boolean" || outcome.kind !== "damaged") return outcome;
    const { kind, parent, id } = change.key;
    throw new BusError("DATA_DAMAGED", `the directory record ${JSON.stringify([kind, parent, id])} is damaged on disk`);
  }
}
