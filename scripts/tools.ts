/**
 * Programs of others that black-box tests drive, built once from the Go module proxy into .cache/bin. `npm test` does
 * it; a test that runs alone does it, too. Without Go the tests are skipped loudly, or fail with AGENTBUS_TEST_REQUIRE=1.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { CACHE } from "./root.ts";
import { run } from "./run.ts";

interface GoProgram {
  readonly module: string;
  readonly version: string;
  /** Path of its main package, with the module's path in front. */
  readonly main: string;
}

const grpcurl = "github.com/fullstorydev/grpcurl";
const healthProbe = "github.com/grpc-ecosystem/grpc-health-probe";
const PROGRAMS = {
  grpcurl: { module: grpcurl, version: "v1.9.4", main: `${grpcurl}/cmd/grpcurl` },
  "grpc-health-probe": { module: healthProbe, version: "v0.4.40", main: healthProbe },
} as const satisfies Record<string, GoProgram>;

/** Where Go's own installation is, which not every PATH names. */
const GO_FOLDER = "/usr/local/go/bin";

export type Tool = keyof typeof PROGRAMS;
export const TOOL_NAMES = Object.keys(PROGRAMS) as readonly Tool[];

/** Path of the program; undefined when it cannot be had here. Throws in that case with AGENTBUS_TEST_REQUIRE=1. */
export async function ensureTool(tool: Tool, say: (text: string) => void = console.error): Promise<string | undefined> {
  const { version } = PROGRAMS[tool];
  const folder = join(CACHE, "bin");
  // The version is in the name: another pin is another program.
  const path = join(folder, `${tool}-${version}`);
  if (existsSync(path)) return path;

  mkdirSync(folder, { recursive: true });
  say(`building ${tool} ${version} with Go`);
  const { code, output } = await build(PROGRAMS[tool], path);
  if (code === 0) return path;
  const reason = code === 127 ? "Go is not installed" : `go build failed:\n${output}`;
  if (process.env["AGENTBUS_TEST_REQUIRE"] === "1") throw new Error(`${tool} is required: ${reason}`);
  say(`SKIPPED: everything that needs ${tool}, because ${reason}`);
  return undefined;
}

/**
 * Builds in a module of its own, which pins the version. `go install module@version` would also ask the proxy for the
 * list of all versions, which not every proxy answers.
 */
async function build({ module, version, main }: GoProgram, path: string) {
  const cwd = mkdtempSync(join(tmpdir(), "agentbus-tool-"));
  try {
    writeFileSync(join(cwd, "go.mod"), `module tool\n\ngo 1.21\n\nrequire ${module} ${version}\n`);
    const env = { ...process.env, PATH: `${process.env["PATH"]}${delimiter}${GO_FOLDER}` };
    return await run("go", ["build", "-mod=mod", "-trimpath", "-o", path, main], { cwd, env });
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

if (import.meta.main) for (const tool of TOOL_NAMES) console.log(tool, (await ensureTool(tool)) ?? "not here");
