import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import { ROOT } from "../../scripts/root.ts";
import { runOrThrow } from "../../scripts/run.ts";
import { startBus } from "../support/bus-process.ts";

const main = join(ROOT, "src", "main.ts");

describe("the server as npm packs it", () => {
  it("has what it needs and nothing else", async () => {
    const args = ["pack", "--dry-run", "--json", "--ignore-scripts"];
    const output = await runOrThrow("npm", args, { cwd: ROOT, env: { npm_config_loglevel: "silent" } });
    const [pack] = JSON.parse(output) as [{ files: { path: string }[] }];
    const files = pack.files.map((file) => file.path);
    for (const needed of ["bin/agentbus.js", "package.json", "LICENSE"]) assert.ok(files.includes(needed), needed);
    const allowed = /^(bin|dist|docs)\/|^(package\.json|LICENSE|README\.md|CHANGELOG\.md)$/;
    assert.deepEqual(
      files.filter((file) => !allowed.test(file) || file.endsWith(".test.js")),
      [],
    );
  });

  it.skipIf(!existsSync(main))("S1-6a: runs outside the repository, with both storages", async () => {
    const home = mkdtempSync(join(tmpdir(), "agentbus-packed-"));
    try {
      const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
      const config = join(ROOT, "tsconfig.build.json");
      await runOrThrow(process.execPath, [compiler, "-p", config, "--outDir", join(home, "dist")]);
      for (const part of ["bin", "package.json"]) cpSync(join(ROOT, part), join(home, part), { recursive: true });
      symlinkSync(join(ROOT, "node_modules"), join(home, "node_modules"));
      for (const storage of ["memory:", `file:${join(home, "data")}`]) {
        const serve = [join(home, "bin", "agentbus.js"), "serve", "--port", "0", "--storage", storage];
        const bus = await startBus({ command: [process.execPath, ...serve], cwd: home });
        const health = await fetch(`${bus.url}/health`);
        assert.equal(health.status, 200, await health.text());
        assert.equal((await bus.stop()).code, 0);
      }
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});
