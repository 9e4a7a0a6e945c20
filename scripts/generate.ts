/**
 * `npm run generate`: makes everything that is generated from proto/, offline once the Python environment is there: the
 * server's code (gen/), the TypeScript SDK's and the Python SDK's stubs. With `--check` it generates into a temporary
 * folder, compares, and exits 1 when something is not up to date.
 */
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensurePython, withPython } from "./python.ts";
import { ROOT } from "./root.ts";
import { runOrThrow } from "./run.ts";

/** A buf template, and which files it makes. */
const TARGETS = [
  { template: "buf.gen.yaml", made: "gen/**/*.ts" },
  { template: "sdk/typescript/buf.gen.yaml", made: "sdk/typescript/src/gen/**/*.ts" },
  { template: "sdk/python/buf.gen.yaml", made: "sdk/python/src/agentbus/v1/*_pb2*.{py,pyi}" },
] as const;

const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
const python = await ensurePython(console.error);
const bin = join(ROOT, "node_modules", ".bin");
const env = { ...withPython(python), PATH: `${bin}:${withPython(python)["PATH"]}` };

async function generate(into: string): Promise<void> {
  // One after another: both write below sdk/ and a template may clean its folder first.
  for (const { template } of TARGETS) {
    await runOrThrow(join(bin, "buf"), ["generate", "--template", template, "--output", into], { cwd: ROOT, env });
  }
}

function filesIn(folder: string): string[] {
  return TARGETS.flatMap(({ made }) => globSync(made, { cwd: folder })).sort();
}

/** One line for each file that is missing, different, or not made from proto/ any more. */
function compare(fresh: string): string[] {
  const made = new Set(filesIn(fresh));
  const there = new Set(filesIn(ROOT));
  const stale = [...there].filter((file) => !made.has(file)).map((file) => `${file} is no longer generated`);
  for (const file of made) {
    if (!there.has(file)) stale.push(`${file} is missing`);
    else if (!readFileSync(join(fresh, file)).equals(readFileSync(join(ROOT, file)))) stale.push(`${file} differs`);
  }
  return stale;
}

if (values.check) {
  const fresh = mkdtempSync(join(tmpdir(), "agentbus-generate-"));
  try {
    await generate(fresh);
    const stale = compare(fresh);
    for (const line of stale) console.error(line);
    if (stale.length > 0) console.error("Run: npm run generate");
    process.exitCode = stale.length === 0 ? 0 : 1;
  } finally {
    rmSync(fresh, { recursive: true });
  }
} else {
  for (const file of filesIn(ROOT)) rmSync(join(ROOT, file));
  await generate(".");
  console.log(`${filesIn(ROOT).length} files`);
}
