// npm runs this after an install in a checkout. It builds the TypeScript SDK, which the command line imports as the
// package "agentbus". It runs under whatever Node installed, and does nothing where nothing can be built: in an install
// without development dependencies, or from a package without sources.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sdk = join(root, "sdk", "typescript");
const compiler = join(root, "node_modules", "typescript", "package.json");

if (existsSync(compiler) && existsSync(join(sdk, "src"))) {
  const npm = process.env.npm_execpath;
  const [program, before] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  const { status, error } = spawnSync(program, [...before, "run", "build", "--silent"], { cwd: sdk, stdio: "inherit" });
  if (error !== undefined) throw error;
  process.exitCode = status ?? 1;
}
