import type { FaultKind } from "./fault-kinds.ts";
import type { Fault } from "./faults.ts";

interface Span {
  readonly kind: FaultKind;
  readonly fromMs: number;
  /** Infinity: it is not over. */
  toMs: number;
}

/** Ends or stops the one storage, and with it every node that needs it. */
const OF_STORAGE: ReadonlySet<FaultKind> = new Set([
  "backend-restart",
  "backend-kill",
  "backend-immediate",
  "backend-freeze",
  "backend-power-cut",
  "disk-full",
]);

/** With one node, whatever takes that node away, or the only way to it, or its only way to the storage. */
const OF_THE_ONLY_NODE: ReadonlySet<FaultKind> = new Set([
  "node-kill",
  "node-stop",
  "node-freeze",
  "client-cut",
  "client-black-hole",
  "backend-cut",
  "backend-black-hole",
]);

/** Which faults were there at what time, by Date.now(). */
export class FaultLog {
  readonly #spans: Span[] = [];
  readonly #open = new Map<Fault, Span>();
  readonly #nodes: number;

  constructor(nodes: number) {
    this.#nodes = nodes;
  }

  /** "is over": what the fault broke works again. */
  note(fault: Fault, phase: "begins" | "is over"): void {
    const atMs = Date.now();
    if (phase === "begins") {
      const span = { kind: fault.kind, fromMs: atMs, toMs: Number.POSITIVE_INFINITY };
      this.#open.set(fault, span);
      this.#spans.push(span);
      return;
    }
    const span = this.#open.get(fault);
    if (span !== undefined) span.toMs = atMs;
    this.#open.delete(fault);
  }

  /** The kinds of the faults that were there at some time of the span, sorted. */
  during(fromMs: number, toMs: number): readonly FaultKind[] {
    const found = new Set<FaultKind>();
    for (const span of this.#spans) if (span.fromMs <= toMs && span.toMs >= fromMs) found.add(span.kind);
    return [...found].sort();
  }

  /** Whether one of these takes away what there is only one of, so that no bus could answer. */
  leaveNobody(kinds: readonly FaultKind[]): boolean {
    return kinds.some((kind) => OF_STORAGE.has(kind) || (this.#nodes === 1 && OF_THE_ONLY_NODE.has(kind)));
  }
}
