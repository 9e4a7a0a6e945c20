import { readFileSync } from "node:fs";

const seen = new Set<string>();

/** Remembers a reason that this process was given over the wire. */
export function seeReason(reason: string): void {
  seen.add(reason);
}

export function seenReasons(): ReadonlySet<string> {
  return seen;
}

/** One row of the closed table, as it is published. */
export interface PublishedReason {
  /** For example "NOT_FOUND". */
  readonly code: string;
  readonly retry: string;
}

let published: ReadonlyMap<string, PublishedReason> | undefined;

/** The closed table as docs/errors.md has it: sections by code, a row for each reason. */
export function publishedReasons(): ReadonlyMap<string, PublishedReason> {
  if (published !== undefined) return published;
  const page = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
  const rows = new Map<string, PublishedReason>();
  let code = "";
  for (const line of page.split("\n")) {
    code = /^## ([A-Z_]+) \(\d+\)$/.exec(line)?.[1] ?? code;
    const row = /^\| `([A-Z_]+)` \| `(SAME|RECONNECT|NEVER)` \|/.exec(line);
    if (row !== null) rows.set(row[1]!, { code, retry: row[2]! });
  }
  published = rows;
  return rows;
}
