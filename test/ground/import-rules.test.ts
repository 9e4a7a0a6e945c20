import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { judgeImports } from "../../scripts/imports/judge-imports.ts";

describe("import rules", () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "imports-"));
    write("package.json", JSON.stringify({ dependencies: { pino: "1" }, devDependencies: { vitest: "1" } }));
    for (const file of ["core/a", "wire/a", "bus/a", "routing/a", "rpc/a", "server/a", "config/a", "observability/a"]) {
      write(`src/${file}.ts`, "export const a = 1;");
    }
    write("src/storage/message-log.ts", "export const a = 1;");
    write("src/storage/memory/index.ts", "export const a = 1;");
    write("gen/agentbus/v1/message_pb.ts", "export const a = 1;");
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function write(file: string, text: string): void {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  function judge(file: string, text: string): readonly string[] {
    write(file, text);
    return judgeImports(root, [file]).map((fault) => fault.text);
  }

  it.each([
    ["src/core/b.ts", 'import { a } from "./a.ts";'],
    ["src/wire/b.ts", 'import { a } from "../../gen/agentbus/v1/message_pb.ts"; import "../core/a.ts";'],
    ["src/bus/b.ts", 'import { a } from "../storage/message-log.ts"; import "../routing/a.ts"; import "node:events";'],
    [
      "src/storage/memory/b.ts",
      'import { a } from "./index.ts"; import "../message-log.ts"; import "../../core/a.ts";',
    ],
    ["src/main.ts", 'import "./storage/memory/index.ts"; import "./server/a.ts"; import "pino";'],
    ["src/bus/b.test.ts", 'import "../storage/memory/index.ts"; import "vitest";'],
  ])("allows what the table allows: %s", (file, text) => {
    assert.deepEqual(judge(file, text), []);
  });

  it.each([
    ["src/core/b.ts", 'import type { A } from "../bus/a.ts";', /core may not import src\/bus\/a.ts/],
    ["src/core/b.ts", 'export type A = import("../wire/a.ts").A;', /core may not import src\/wire/],
    ["src/core/b.ts", 'import { readFile } from "node:fs";', /core stands alone/],
    ["src/core/b.ts", 'import pino from "pino";', /core stands alone/],
    ["src/wire/b.ts", 'export * from "../bus/a.ts";', /wire may not import/],
    ["src/bus/b.ts", 'import "../storage/memory/index.ts";', /bus may not import src\/storage\/memory/],
    ["src/bus/b.ts", 'await import("../rpc/a.ts");', /bus may not import src\/rpc/],
    ["src/rpc/b.ts", 'import "../storage/message-log.ts";', /rpc may not import/],
    ["src/storage/redis/b.ts", 'import "../memory/index.ts";', /storage adapter may not import/],
    ["src/storage/b.ts", 'import "./memory/index.ts";', /storage port may not import/],
    ["src/server/b.ts", 'import "../bus/a.ts";', /server may not import/],
    ["src/server/b.ts", 'import "vitest";', /no dependency/],
    ["src/server/b.ts", 'import "fs";', /write node:fs/],
    ["src/bus/b.ts", 'import "./gone.ts";', /does not exist/],
    ["sdk/typescript/src/b.ts", 'import "../../../src/core/a.ts";', /SDK may not import/],
    ["test/blackbox/b.test.ts", 'import "../../src/core/a.ts";', /black-box test may not import/],
  ])("refuses what it does not: %s, %s", (file, text, fault) => {
    if (file.startsWith("sdk/")) write("sdk/typescript/package.json", "{}");
    const faults = judge(file, text);
    assert.equal(faults.length, 1, faults.join());
    assert.match(faults[0]!, fault);
  });

  it("finds cycles", () => {
    write("src/core/b.ts", 'import "./c.ts";');
    write("src/core/c.ts", 'import { b } from "./b.ts"; import type { A } from "./a.ts";');
    write("src/core/a.ts", 'import "./c.ts";');
    const faults = judgeImports(root, ["src/core/b.ts", "src/core/c.ts"]);
    assert.deepEqual(
      faults.map((fault) => fault.text),
      ["cycle: src/core/b.ts → src/core/c.ts → src/core/b.ts"],
    );
  });
});
