import { dirname, join } from "node:path";

/** The repository's folder. */
export const ROOT = dirname(import.meta.dirname);
/** What scripts fetch or build once and may be deleted at any time. Not in git. */
export const CACHE = join(ROOT, ".cache");
/** Reports of the last test run. Not in git. */
export const RESULTS = join(ROOT, "test-results");
