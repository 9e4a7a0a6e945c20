import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "vitest";
import { waitUntil } from "../support/wait.ts";

const BIN = new URL("../../bin/agentbus.js", import.meta.url);
/** Loaded before the program: makes this Node say that it is an old one. */
const PRETEND_OLD = `data:text/javascript,
  Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.11.0" } });`;

/** An installation whose main program tells who runs it, and waits when it is told to. */
const MAIN = `
  if (process.argv.includes("wait")) setInterval(() => {}, 1000);
  process.on("SIGTERM", () => { console.log("draining"); process.exit(9); });
  console.log(JSON.stringify({ node: process.versions.node, args: process.argv.slice(2), pid: process.pid }));
  if (process.argv.includes("fail")) process.exitCode = 5;
`;

describe("bin/agentbus.js", () => {
  let home: string;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "agentbus-bin-"));
    for (const folder of ["bin", "src", "node_modules/node/bin"]) mkdirSync(join(home, folder), { recursive: true });
    copyFileSync(BIN, join(home, "bin", "agentbus.js"));
    writeFileSync(join(home, "package.json"), '{ "type": "module" }');
    writeFileSync(join(home, "src", "main.ts"), MAIN);
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill("SIGKILL");
    rmSync(home, { recursive: true });
  });

  function bringNode(): void {
    symlinkSync(process.execPath, join(home, "node_modules", "node", "bin", "node"));
  }
  function start(pretend: "old" | "new", ...args: readonly string[]) {
    const preload = pretend === "old" ? ["--import", PRETEND_OLD] : [];
    const child = spawn(process.execPath, [...preload, join(home, "bin", "agentbus.js"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    children.push(child);
    const seen = { text: "" };
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        seen.text += chunk;
      });
    }
    const told = () => waitUntil(() => seen.text.includes("\n") && JSON.parse(seen.text.split("\n")[0]!));
    return { child, seen, told, closed: once(child, "close") };
  }

  it("runs the sources of a checkout, or else what was built", async () => {
    const { told, closed } = start("new", "serve", "--port", "0");
    assert.deepEqual((await told()).args, ["serve", "--port", "0"]);
    await closed;
    rmSync(join(home, "src"), { recursive: true });
    mkdirSync(join(home, "dist", "src"), { recursive: true });
    writeFileSync(join(home, "dist", "src", "main.js"), MAIN);
    const built = start("new", "fail");
    assert.deepEqual((await built.told()).args, ["fail"]);
    assert.deepEqual(await built.closed, [5, null]);
  });

  it("says what to do when something is not installed", async () => {
    writeFileSync(join(home, "src", "main.ts"), 'import "a-package-that-is-not-there";');
    const { seen, closed } = start("new");
    assert.deepEqual(await closed, [1, null]);
    assert.match(seen.text, /a-package-that-is-not-there[\s\S]*npm ci/);
  });

  it("says what an old Node lacks", async () => {
    const { seen, closed } = start("old");
    assert.deepEqual(await closed, [1, null]);
    assert.match(seen.text, /needs Node\.js 24 or newer; this is 20\.11\.0 .*[\s\S]*nvm install 24/);
  });

  it("goes on under the Node that the installation brought, with its arguments and exit code", async () => {
    bringNode();
    const { told, closed } = start("old", "fail", "x");
    const { node, args } = await told();
    assert.deepEqual([node, args], [process.versions.node, ["fail", "x"]]);
    assert.deepEqual(await closed, [5, null]);
  });

  it("passes signals in and the end out", async () => {
    bringNode();
    const drained = start("old", "wait");
    await drained.told();
    drained.child.kill("SIGTERM");
    assert.deepEqual(await drained.closed, [9, null]);
    assert.match(drained.seen.text, /draining/);

    const killed = start("old", "wait");
    process.kill((await killed.told()).pid, "SIGKILL");
    assert.deepEqual(await killed.closed, [null, "SIGKILL"]);
  });

  it("leaves no server behind when the wrapper is killed", async () => {
    bringNode();
    const { child, told, closed } = start("old", "wait");
    const { pid } = await told();
    child.kill("SIGKILL");
    await closed; // only when the server has let go of the pipes, too
    await waitUntil(() => !isAlive(pid), { what: "the server to end with its wrapper" });
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
