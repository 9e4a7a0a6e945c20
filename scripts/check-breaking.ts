/**
 * Compares proto/ with what was released last, by `buf breaking`: the newest tag v*, else main's last commit. Where git
 * knows neither (the first commit, a shallow clone without them) there is nothing to compare with, and it says so.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./root.ts";
import { run, runOrThrow } from "./run.ts";

async function baseline(): Promise<string | undefined> {
  const tag = await run("git", ["describe", "--tags", "--match", "v*", "--abbrev=0"], { cwd: ROOT });
  const candidates = [...(tag.code === 0 ? [tag.output.trim()] : []), "main", "origin/main", "HEAD"];
  for (const ref of candidates) {
    // The files must be there, too: a commit that a partial clone names may have none.
    const { code } = await run("git", ["cat-file", "-e", `${ref}:buf.yaml`], { cwd: ROOT });
    if (code === 0) return ref;
  }
  return undefined;
}

const ref = await baseline();
if (ref === undefined) console.log("breaking changes: nothing to compare with yet");
else {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-breaking-"));
  try {
    const archive = join(folder, "base.tar");
    await runOrThrow("git", ["archive", "--output", archive, ref, "buf.yaml", "proto", "third_party"], { cwd: ROOT });
    await runOrThrow("tar", ["-xf", archive, "-C", folder]);
    rmSync(archive);
    const buf = join(ROOT, "node_modules", ".bin", "buf");
    const { code, output } = await run(buf, ["breaking", "--against", folder], { cwd: ROOT });
    process.stdout.write(output);
    console.log(`breaking changes against ${ref}: ${code === 0 ? "none" : "see above"}`);
    process.exitCode = code === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
