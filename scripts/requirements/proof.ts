import type { TestResult } from "../testing/reports.ts";

export interface Requirement {
  readonly id: string;
  readonly asked: string;
  readonly meaning: string;
}

export interface Proof extends Requirement {
  /** Titles of passing tests that carry the id. Empty: not yet proven. */
  readonly provenBy: readonly string[];
  /** Titles of tests that would prove it, but were skipped in this run. */
  readonly notRun: readonly string[];
}

const ROW = /^\| ([US]\d?-[^ |]+) \| (.+?) \| (.+) \|$/gm;

/** Reads the tables of docs/requirements.md. Throws when an id appears twice, or none is found. */
export function readRequirements(markdown: string): readonly Requirement[] {
  const rows = [...markdown.matchAll(ROW)].map(([, id, asked, meaning]) => ({
    id: id!,
    asked: asked!,
    meaning: meaning!,
  }));
  if (rows.length === 0) throw new Error("docs/requirements.md has no rows");
  const seen = new Set<string>();
  for (const { id } of rows) {
    if (seen.has(id)) throw new Error(`docs/requirements.md has ${id} twice`);
    seen.add(id);
  }
  return rows;
}

/** A failing test proves nothing, and takes the proof away that another test of the same id gives. */
export function prove(rows: readonly Requirement[], results: readonly TestResult[]): readonly Proof[] {
  const titles = results.map((result) => ({ ...result, normal: normalise(result.title) }));
  const carrying = (id: string) => titles.filter((result) => carries(result.normal, id));
  return rows.map((row) => {
    const own = carrying(row.id);
    const parts = partsOf(row.id).map(carrying);
    const together = own.length > 0 || parts.some((part) => part.length === 0) ? own : parts.flat();
    const failed = together.some((result) => result.status === "failed");
    const passed = together.filter((result) => result.status === "passed");
    const whole = own.length > 0 || parts.every((part) => part.some((result) => result.status === "passed"));
    const provenBy = failed || !whole ? [] : passed.map((result) => result.title);
    return { ...row, provenBy, notRun: together.filter((it) => it.status === "skipped").map((it) => it.title) };
  });
}

/** Python's test names have only letters, digits and "_". */
const normalise = (text: string) => text.toLowerCase().replaceAll(/[-.]/g, "_");

function carries(normalTitle: string, id: string): boolean {
  const normal = normalise(id);
  for (let at = normalTitle.indexOf(normal); at >= 0; at = normalTitle.indexOf(normal, at + 1)) {
    const before = normalTitle[at - 1] ?? " ";
    const after = normalTitle.slice(at + normal.length);
    // S2-C.1 is not in S2-C.10, S1-4.2 not in S1-4.2a; S3-K.1 is in "S3-K.1, S3-K.2" and in test_s3_k_1_message.
    if (!/[a-z0-9]/.test(before) && !/^([a-z0-9]|_[0-9])/.test(after)) return true;
  }
  return false;
}

/** "S1-4.2a-c" stands for a, b and c, "S2-P.1-5" for 1 to 5. Another id has no parts. */
function partsOf(id: string): readonly string[] {
  const range = /^(.*?)([a-z]|\d+)-([a-z]|\d+)$/.exec(id);
  if (range === null) return [];
  const [, stem = "", from = "", to = ""] = range;
  if (/[a-z]/.test(from) !== /[a-z]/.test(to)) return [];
  const isLetter = /[a-z]/.test(from);
  const first = isLetter ? from.charCodeAt(0) : Number(from);
  const last = isLetter ? to.charCodeAt(0) : Number(to);
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => {
    return `${stem}${isLetter ? String.fromCharCode(first + i) : first + i}`;
  });
}
