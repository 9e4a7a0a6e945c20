/** `npm run build`: compiles the server to dist/, as it is packed. The SDK is built before it, by its own script. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./root.ts";

rmSync(join(ROOT, "dist"), { recursive: true, force: true });
const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
execFileSync(process.execPath, [compiler, "-p", "tsconfig.build.json"], { cwd: ROOT, stdio: "inherit" });
