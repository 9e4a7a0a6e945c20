import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import { prove, readRequirements } from "../../scripts/requirements/proof.ts";
import { countLine, findStale, replaceCount } from "../../scripts/requirements/readme.ts";
import { readPytest, type TestResult } from "../../scripts/testing/reports.ts";

const markdown = `| id | asked | means |
| --- | --- | --- |
| U-1 | a | b |
| S1-4.2a-c | a | b |
| S2-C.1 | a | with a \`x | y\` pipe |
| S2-P.1-2 | a | b |
| S3-FR-004 | a | b |
`;
const rows = readRequirements(markdown);
const passing = (...titles: readonly string[]): TestResult[] =>
  titles.map((title) => ({ title, file: "", status: "passed" }));
const provenBy = (results: readonly TestResult[]) =>
  prove(rows, results)
    .filter((proof) => proof.provenBy.length > 0)
    .map((proof) => proof.id);

describe("requirements", () => {
  it("reads docs/requirements.md", () => {
    const real = readRequirements(readFileSync(new URL("../../docs/requirements.md", import.meta.url), "utf8"));
    assert.ok(real.length > 150);
    assert.throws(() => readRequirements(markdown + markdown), /U-1 twice/);
  });

  it("finds ids in titles, as TypeScript and as Python write them", () => {
    assert.deepEqual(provenBy(passing("bus > S3-FR-004, U-1: commands")), ["U-1", "S3-FR-004"]);
    assert.deepEqual(provenBy(passing("test_s3_fr_004_commands")), ["S3-FR-004"]);
    assert.deepEqual(provenBy(passing("S2-C.10: another", "S2-C.1a: another", "XS3-FR-004", "U-12")), []);
    assert.deepEqual(provenBy(passing("S2-C.1: name")), ["S2-C.1"]);
  });

  it("takes a range as proven by its own id or by all of its parts", () => {
    assert.deepEqual(provenBy(passing("S1-4.2a", "S1-4.2b")), []);
    assert.deepEqual(provenBy(passing("S1-4.2a", "S1-4.2b", "S1-4.2c")), ["S1-4.2a-c"]);
    assert.deepEqual(provenBy(passing("S1-4.2a-c: all", "S2-P.1", "S2-P.2")), ["S1-4.2a-c", "S2-P.1-2"]);
  });

  it("takes nothing as proven by a test that fails or was skipped", () => {
    const [passed, other] = passing("U-1: one", "U-1: two");
    assert.deepEqual(provenBy([passed!, { ...other!, status: "failed" }]), []);
    const skipped = prove(rows, [{ ...passed!, status: "skipped" }]);
    assert.deepEqual([skipped[0]?.provenBy, skipped[0]?.notRun], [[], ["U-1: one"]]);
  });

  it("tells when README.md is stale", () => {
    const proofs = prove(rows, passing("U-1"));
    assert.equal(countLine(proofs), "1 of 5 [requirements](docs/requirements.md) are proven by a passing test.");
    const readme = replaceCount("# x\n<!-- requirements -->old<!-- /requirements -->\n", countLine(proofs));
    assert.equal(findStale(readme, proofs), undefined);
    assert.match(findStale(readme, prove(rows, []))!, /does not say "0 of 5/);
    assert.match(findStale("# x", proofs)!, /has no <!-- requirements -->/);
    assert.throws(() => replaceCount("# x", ""), /has no/);
  });

  it("reads pytest's report", () => {
    const folder = mkdtempSync(join(tmpdir(), "report-"));
    const file = join(folder, "pytest.xml");
    writeFileSync(
      file,
      `<testsuites><testsuite><testcase classname="tests.a" name="test_u_1" time="0"/>
      <testcase classname="tests.a" name="test_b" time="0"><failure message="x">y</failure></testcase>
      <testcase classname="tests.a" name="test_c" time="0"><skipped/></testcase></testsuite></testsuites>`,
    );
    const results = readPytest(file).map(({ title, file: module, status }) => `${module} ${title} ${status}`);
    assert.deepEqual(results, ["tests.a test_u_1 passed", "tests.a test_b failed", "tests.a test_c skipped"]);
    rmSync(folder, { recursive: true });
  });
});
