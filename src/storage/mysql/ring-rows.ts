import type { Ring } from "../doorbell.ts";
import type { Tables } from "./schema.ts";
import { hex, text } from "./sql-text.ts";

export interface RingRow {
  readonly id: number;
  /** Hexadecimal digits: which storage has rung. */
  readonly source: string;
  /** Undefined: this program does not know such rings. */
  readonly ring: Ring | undefined;
}

/** One statement for all of them; together or not at all. */
export function insertRings(t: Tables, source: string, clock: string, rings: readonly Ring[]): string {
  const rows = rings.map((ring) => `(${hex(source)}, ${clock}, ${text(JSON.stringify(toArray(ring)))})`);
  return `INSERT INTO ${t.ring} (source, rung_at, content) VALUES ${rows.join(", ")}`;
}

export const RING_COLUMNS = "id, source, content";

export function toRingRow(row: readonly unknown[]): RingRow {
  const [id, source, content] = row as [number, Buffer, Buffer];
  return { id, source: source.toString("hex"), ring: fromArray(JSON.parse(content.toString())) };
}

/** Short, because every commit writes one. */
function toArray(ring: Ring): readonly unknown[] {
  if (ring.topic === "log") return ["log", ring.key, ring.head, ring.epoch];
  if (ring.topic === "record") return ["record", ring.key.kind, ring.key.parent, ring.key.id];
  return ["missed"];
}

function fromArray([topic, ...rest]: readonly unknown[]): Ring | undefined {
  if (topic === "log") {
    const [key, head, epoch] = rest as [string, number, number];
    return { topic, key, head, epoch };
  }
  if (topic === "record") {
    const [kind, parent, id] = rest as [string, string, string];
    return { topic, key: { kind, parent, id } };
  }
  return topic === "missed" ? { topic } : undefined;
}

/** Rings of the same thing are one: the newer tells what the older did. */
export function ringIdentity(ring: Ring): string {
  if (ring.topic === "log") return `log ${ring.key}`;
  return ring.topic === "record" ? `record ${JSON.stringify(ring.key)}` : ring.topic;
}
