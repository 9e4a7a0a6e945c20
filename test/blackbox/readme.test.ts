import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, it, onTestFinished } from "vitest";
import { ensurePython } from "../../scripts/python.ts";
import { startBus } from "../support/bus-process.ts";
import { testServerUrl } from "../support/test-servers.ts";
import { waitUntil, within } from "../support/wait.ts";
import { openClients } from "../support/wire-clients.ts";
import { runCli } from "./cli-program.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = readFileSync(join(ROOT, "README.md"), "utf8");
const ADDRESS = "127.0.0.1:7400";
/** Where the README's Redis is; the test has another one. */
const README_REDIS = "redis://127.0.0.1:6379";
const PACKAGE = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>;
};

/** The code block behind `<!-- run: name -->`, as it stands. */
function block(name: string): string {
  const match = new RegExp(`<!-- run: ${name} -->\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(README);
  assert.ok(match, `README.md has no block "run: ${name}"`);
  return match[1]!;
}

interface Program {
  readonly output: () => string;
  readonly ended: Promise<void>;
}

/** Runs a program with its children; they end with the test at the latest. `ended` rejects when it fails. */
function runProgram(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Program {
  const child = spawn(file, args, {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // a process group, so that what it starts ends with it
  });
  let [output, errors] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  ended.catch(() => {}); // only the test that waits for the end wants to know
  child.once("error", reject);
  child.once("close", (code, signal) => {
    if (code === 0) resolve();
    else reject(new Error(`${file} ended with ${code ?? signal}\n${output}\n${errors}`));
  });
  onTestFinished(() => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      // It has ended, and we are not told yet.
    }
  });
  return { output: () => output, ended };
}

const printed = (program: Program, text: string) =>
  waitUntil(() => program.output().includes(text), {
    timeoutMs: 60_000,
    what: () => `${text} in\n${program.output()}`,
  });

describe("README.md", () => {
  it("U-4, U-5, S1-5.1: the four ways in hold one conversation in science:explore, as they are printed", async () => {
    await using bus = await startBus();
    using clients = openClients(bus.url);
    const here = (text: string) => {
      assert.ok(text.includes(ADDRESS), `no address in\n${text}`);
      return text.replaceAll(ADDRESS, `${bus.host}:${bus.port}`);
    };
    const env = { AGENTBUS_URL: bus.url };

    const alice = runProgram(process.execPath, ["--input-type=module-typescript", "--eval", block("typescript")], env);
    await waitUntil(
      async () => {
        const { agents } = await clients.agents.listAgents({ capabilities: ["explore"] });
        return agents.some(({ agentId, subscriptions }) => agentId === "alice" && subscriptions.length > 0);
      },
      { timeoutMs: 60_000, what: () => `alice to listen; she printed\n${alice.output()}` },
    );
    const { python } = await ensurePython();
    const bob = runProgram(python, ["-c", block("python")], { ...env, PYTHONPATH: join(ROOT, "sdk", "python", "src") });
    await within(bob.ended, { timeoutMs: 60_000, what: "bob's answer" });
    assert.equal(bob.output(), "alice: You said: What do we know?\n");
    await printed(alice, "bob: What do we know?\n");

    const stream = runProgram("bash", ["-c", here(block("buf"))]);
    const curl = runProgram("bash", ["-e", "-c", here(block("curl"))]);
    await within(curl.ended, { timeoutMs: 60_000, what: "three calls of curl" });
    const answers = curl.output().split(/(?<=\})(?=\{)/);
    const [said, read, whispered] = answers.map((answer) => JSON.parse(answer));
    assert.match(said.results[0].position, /^science:explore@[0-9a-f]{8}\.2$/);
    assert.deepEqual(
      read.messages.map(({ sender, text }: { sender: string; text: string }) => `${sender}: ${text}`),
      ["bob: What do we know?", "alice: hi"],
    );
    assert.deepEqual(whispered.results[0].audience, { count: 1, agents: ["alice"] });
    await printed(stream, '"text": "hi"');
    assert.match(stream.output(), /"sender": "alice"/);

    const inbox = await clients.bus.fetch({ agentId: "alice", room: "_inbox", channel: "alice" });
    assert.deepEqual(
      inbox.messages.map(({ sender, payload }) => `${sender}: ${payload.value}`),
      ["bob: psst"],
    );
  });

  it("S3-FR-001, S1-4.1b: every `npm start` that it prints serves", async () => {
    const folder = await mkdtemp(join(tmpdir(), "agentbus-readme-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, "agentbus.yaml"), "log:\n  level: info\n");
    const commands = [...README.matchAll(/npm start(?: -- ([^#\n`]+))?/g)].map(([, flags = ""]) => flags.trim());
    assert.ok(commands.length >= 5, `${commands.length} commands`);
    // npm would hide from this test which process to end.
    assert.equal(PACKAGE.scripts["start"], "node bin/agentbus.js serve");
    const redis = await testServerUrl("redis");
    for (const printed of new Set(commands)) {
      const isShared = printed.includes(README_REDIS);
      if (isShared && redis === undefined) continue; // said loudly by whoever looked for it
      const own = `${redis}${redis?.includes("?") ? "&" : "?"}prefix=readme${randomBytes(6).toString("hex")}`;
      const flags = printed.replace(README_REDIS, own);
      const args = [...flags.split(/\s+/).filter((flag) => flag !== ""), "--port", "0"];
      const command = [process.execPath, join(ROOT, "bin", "agentbus.js"), "serve", ...args];
      await using bus = await startBus({ command, cwd: folder });
      assert.equal((await fetch(`${bus.url}/health`)).status, 200, flags);
      assert.deepEqual(await bus.stop(), { code: 0, signal: null }, flags);
    }
    assert.ok(existsSync(join(folder, "data")), "--storage file:./data");
  });

  it("every `npx agentbus` that it prints does what it says", async () => {
    // "`npx agentbus config check` and `config print`": the second one leaves the program out.
    const full = [...README.matchAll(/`npx agentbus ([^`]+)`/g)].map(([, args]) => args!);
    const short = [...README.matchAll(/`(config [^`]+)`/g)].map(([, args]) => args!);
    assert.ok(full.length >= 3);
    await using bus = await startBus();
    for (const args of new Set([...full, ...short])) {
      const words = [...args.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
      // Some ask a bus: one that listens somewhere else than where the README's does.
      const { code, stdout, stderr } = await runCli(words, { url: bus.url });
      assert.equal(code, 0, `agentbus ${args}: ${stderr}`);
      assert.notEqual(stdout, "", args);
    }
  });

  it("U-7: its links lead to files, and its npm scripts exist", () => {
    const links = [...README.matchAll(/\]\(([^)#\s]+)/g)].map(([, link]) => link!);
    const missing = links.filter((link) => !/^https?:/.test(link) && !existsSync(join(ROOT, link)));
    assert.deepEqual(missing, []);
    const scripts = [...README.matchAll(/npm run ([\w:-]+)/g)].map(([, script]) => script!);
    assert.deepEqual(
      scripts.filter((script) => PACKAGE.scripts[script] === undefined),
      [],
    );
  });
});
