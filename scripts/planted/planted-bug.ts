/** One replacement in a source file. `find` occurs exactly once. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A bug that is planted on purpose, and the tests that must notice it. */
export interface PlantedBug {
  readonly name: string;
  /** What a user would suffer. */
  readonly harm: string;
  readonly patches: readonly Patch[];
  /** Each must fail, by file and title. */
  readonly caughtBy: readonly { readonly file: string; readonly title: string }[];
}

/** The source with the patch. Throws when its anchor does not occur exactly once. */
export function patched(source: string, { file, find, replace }: Patch): string {
  const [before, after, ...more] = source.split(find);
  if (after === undefined || more.length > 0) {
    throw new Error(
      `${file}: the anchor of a planted bug occurs ${more.length + (after === undefined ? 0 : 1)} times: ${find}`,
    );
  }
  return `${before}${replace}${after}`;
}
