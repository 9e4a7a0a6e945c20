/** The Python environment of the checks: made once in .cache, again when its pins or the Python change. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, ROOT } from "./root.ts";
import { run, runOrThrow } from "./run.ts";

export interface PythonEnvironment {
  readonly python: string;
  /** Goes first on PATH, so that buf's plugins and the tests find this Python. */
  readonly bin: string;
}

const PINS = join(ROOT, "sdk", "python", "requirements-dev.txt");
const FOLDER = join(CACHE, "python");

/** Answers the environment, made if need be (the one step that downloads). Throws with what to do when it cannot. */
export async function ensurePython(say: (text: string) => void = () => {}): Promise<PythonEnvironment> {
  const bin = join(FOLDER, "bin");
  const environment = { python: join(bin, "python3"), bin };
  const version = await run("python3", ["-c", "import sys; print(sys.version); assert sys.version_info >= (3, 10)"]);
  if (version.code !== 0) throw new Error(`the Python SDK's checks need python3 >= 3.10 on PATH:\n${version.output}`);
  const stamp = createHash("sha256").update(version.output).update(readFileSync(PINS)).digest("hex");
  const stampFile = join(FOLDER, "agentbus-stamp");
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp) return environment;

  say("making the Python environment in .cache/python");
  rmSync(FOLDER, { recursive: true, force: true });
  const made = await run("python3", ["-m", "venv", FOLDER]);
  if (made.code !== 0)
    throw new Error(`python3 -m venv failed (on Debian: apt-get install python3-venv):\n${made.output}`);
  await runOrThrow(environment.python, ["-m", "pip", "install", "--quiet", "--requirement", PINS]);
  writeFileSync(stampFile, stamp);
  return environment;
}

/** The environment variables under which this Python comes first. */
export function withPython({ bin }: PythonEnvironment): Record<string, string> {
  return { PATH: `${bin}:${process.env["PATH"]}`, VIRTUAL_ENV: FOLDER };
}
