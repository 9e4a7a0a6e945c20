/**
 * `npm run requirements`: each row of docs/requirements.md with the passing test that proves it, or "not yet", by the
 * reports of the last `npm test`. `--json` for programs; `--write` puts the count into README.md, `--check` exits 1 when
 * it is not what README.md says.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { prove, readRequirements } from "./requirements/proof.ts";
import { countLine, findStale, replaceCount } from "./requirements/readme.ts";
import { ROOT } from "./root.ts";
import { readPytest, readVitest } from "./testing/reports.ts";
import { PYTEST_REPORT, VITEST_REPORT } from "./testing/steps.ts";

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    check: { type: "boolean", default: false },
  },
});
const README = join(ROOT, "README.md");

const rows = readRequirements(readFileSync(join(ROOT, "docs", "requirements.md"), "utf8"));
const reports = [VITEST_REPORT, PYTEST_REPORT].filter((file) => existsSync(file));
if (reports.length === 0) {
  console.error("There is no report of a test run. Run: npm test");
  process.exit(1);
}
const results = reports.flatMap((file) => (file === PYTEST_REPORT ? readPytest(file) : readVitest(file)));
const proofs = prove(rows, results);

if (values.json) console.log(JSON.stringify(proofs, null, 2));
else if (values.write) {
  const readme = readFileSync(README, "utf8");
  writeFileSync(README, replaceCount(readme, countLine(proofs)));
  console.log(countLine(proofs));
} else if (values.check) {
  const stale = findStale(existsSync(README) ? readFileSync(README, "utf8") : "", proofs);
  console.log(stale ?? `README.md is right: ${countLine(proofs)}`);
  process.exitCode = stale === undefined ? 0 : 1;
} else {
  for (const { id, asked, provenBy, notRun } of proofs) {
    const more = provenBy.length > 1 ? ` (and ${provenBy.length - 1} more)` : "";
    const why = notRun.length > 0 ? `not yet: ${notRun[0]} was skipped` : `not yet: ${asked}`;
    console.log(
      `${provenBy.length > 0 ? "✓" : "-"} ${id.padEnd(12)} ${provenBy.length > 0 ? provenBy[0] + more : why}`,
    );
  }
  console.log(`\n${countLine(proofs)}`);
}
