import type { Proof } from "./proof.ts";

const BEGIN = "<!-- requirements -->";
const END = "<!-- /requirements -->";
const BETWEEN = new RegExp(`${BEGIN}[\\s\\S]*?${END}`);

export function countLine(proofs: readonly Proof[]): string {
  const proven = proofs.filter((proof) => proof.provenBy.length > 0).length;
  return `${proven} of ${proofs.length} [requirements](docs/requirements.md) are proven by a passing test.`;
}

/** Throws when README.md lacks the markers. */
export function replaceCount(readme: string, line: string): string {
  if (!BETWEEN.test(readme)) throw new Error(`README.md has no ${BEGIN} … ${END}`);
  return readme.replace(BETWEEN, `${BEGIN}${line}${END}`);
}

/** What is wrong with the count in README.md; undefined: nothing. Tests that were skipped here prove elsewhere. */
export function findStale(readme: string, proofs: readonly Proof[]): string | undefined {
  const written = BETWEEN.exec(readme)?.[0];
  if (written === undefined) return `README.md has no ${BEGIN} … ${END} for the count of proven requirements`;
  if (written.includes(countLine(proofs))) return undefined;
  const skipped = proofs.filter((proof) => proof.provenBy.length === 0 && proof.notRun.length > 0);
  if (skipped.length > 0) return undefined;
  return `README.md does not say "${countLine(proofs)}". Run: npm run requirements -- --write`;
}
