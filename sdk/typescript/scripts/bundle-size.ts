/** Prints what each entry point of the built package adds to a bundle, and fails when `.` needs Node. */
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";

const dist = fileURLToPath(new URL("../dist/", import.meta.url));

async function bundle(
  entry: string,
  platform: "browser" | "node",
): Promise<{ code: string; imports: readonly string[] }> {
  const build = await rolldown({ input: `${dist}${entry}`, platform, external: /^node:/, logLevel: "warn" });
  try {
    const { output } = await build.generate({ format: "esm", minify: true, codeSplitting: false });
    return output[0];
  } finally {
    await build.close();
  }
}

function print(name: string, code: string): void {
  const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;
  process.stdout.write(
    `${name.padEnd(14)} ${kib(Buffer.byteLength(code))} minified, ${kib(gzipSync(code).byteLength)} gzip\n`,
  );
}

const browser = await bundle("index.js", "browser");
print("agentbus", browser.code);
if (browser.imports.length > 0)
  throw new Error(`agentbus needs ${browser.imports.join(", ")}, which a browser does not have`);
print("agentbus/node", (await bundle("node.js", "node")).code);
