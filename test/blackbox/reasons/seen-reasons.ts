import { readFileSync } from "node:fs";

const seen = new Set<string>();

/** Remembers a reason that this process was given over the wire. */
export function seeReason(reason: string): void {
  seen.add(reason);
}

export function seenReasons(): ReadonlySet<string> {
  return seen;
}

/** The closed table as it is published: every reason that heads a row of docs/errors.md. */
export function publishedReasons(): ReadonlySet<string> {
  const page = readFileSync(new URL("../../../docs/errors.md", import.meta.url), "utf8");
  return new Set([...page.matchAll(/^\| `?([A-Z][A-Z_]+)`? \|/gm)].map(([, reason]) => reason!));
}
