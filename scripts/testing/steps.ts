import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import { ensureBrowser } from "../browser.ts";
import { ensurePython, withPython } from "../python.ts";
import { RESULTS, ROOT } from "../root.ts";
import { type RunOptions, run } from "../run.ts";
import { findPrograms } from "../servers/find-programs.ts";
import { SERVER_KINDS } from "../servers/obtain.ts";
import { ensureTool, TOOL_NAMES } from "../tools.ts";
import { countPytest, countVitest } from "./reports.ts";
import type { Step, StepOutcome } from "./step.ts";
import { SERVERS, STORAGE_SERVERS, startTestServers } from "./test-servers.ts";

const BIN = join(ROOT, "node_modules", ".bin");
const PYTHON_SDK = join(ROOT, "sdk", "python");
export const VITEST_REPORT = join(RESULTS, "vitest.json");
export const PYTEST_REPORT = join(RESULTS, "pytest.xml");

type Command = readonly [program: string, ...args: readonly string[]];

/** One after another, up to the first that fails. */
async function commands(list: readonly Command[], options: RunOptions, detail: string): Promise<StepOutcome> {
  let output = "";
  for (const [program, ...args] of list) {
    const outcome = await run(program, args, { cwd: ROOT, ...options });
    output += `$ ${[program, ...args].join(" ")}\n${outcome.output}\n`;
    if (outcome.code !== 0)
      return { status: "failed", detail: `${program.split("/").at(-1)} ${args[0] ?? ""}`, output };
  }
  return { status: "passed", detail, output };
}

const node = (...args: readonly string[]): Command => [process.execPath, ...args];
const bin = (name: string, ...args: readonly string[]): Command => [join(BIN, name), ...args];

async function python(list: readonly Command[], signal: AbortSignal, detail: string): Promise<StepOutcome> {
  const environment = await ensurePython();
  const inEnvironment = list.map(([program, ...args]): Command => [join(environment.bin, program), ...args]);
  return commands(inEnvironment, { cwd: PYTHON_SDK, env: withPython(environment), signal }, detail);
}

/** Everything that `npm test` does. The longest comes as early as what it needs allows. */
export const STEPS: readonly Step[] = [
  {
    name: "sdk",
    about: "builds the TypeScript SDK",
    run: (signal) => commands([["npm", "run", "build", "--silent", "-w", "agentbus"]], { signal }, "built"),
  },
  {
    name: "python",
    about: "the Python environment of the checks, in .cache/python",
    async run() {
      const said: string[] = [];
      await ensurePython((text) => said.push(text));
      return { status: "passed", detail: said.length === 0 ? "there" : "made", output: said.join("\n") };
    },
  },
  {
    name: "tools",
    about: "builds the Go programs that black-box tests drive, in .cache/bin; finds or installs Chromium",
    async run() {
      const said: string[] = [];
      const say = (text: string) => void said.push(text);
      const names = [...TOOL_NAMES, "browser"];
      const found = await Promise.all([...TOOL_NAMES.map((tool) => ensureTool(tool, say)), ensureBrowser(say)]);
      const missing = names.filter((_name, i) => found[i] === undefined);
      const detail = missing.length === 0 ? names.join(", ") : `WITHOUT ${missing.join(", ")}: tests are skipped`;
      return { status: "passed", detail, output: said.join("\n") };
    },
  },
  {
    name: "servers",
    about: "starts Redis, PostgreSQL and MariaDB for the tests, installs what is missing",
    async run() {
      const said: string[] = [];
      const found = await startTestServers((text) => said.push(text));
      const missing = SERVERS.filter((name) => !found.some((server) => server.name === name));
      const there = found.map(({ name, source }) => `${name} (${source})`).join(", ");
      const detail = missing.length === 0 ? there : `WITHOUT ${missing.join(", ")}: tests are skipped`;
      return { status: "passed", detail, output: said.join("\n") };
    },
  },
  {
    name: "vitest",
    about: "unit, SDK, ground, conformance, property, black-box, fault and example tests",
    needs: ["sdk"],
    after: ["python", "tools", "servers"],
    alone: true,
    async run(signal) {
      const report = ["--reporter=default", "--reporter=json", `--outputFile.json=${VITEST_REPORT}`];
      const outcome = await commands([bin("vitest", "run", ...report)], { env: { NO_COLOR: "1" }, signal }, "");
      return withCounts(outcome, existsSync(VITEST_REPORT) ? countVitest(VITEST_REPORT) : undefined);
    },
  },
  {
    name: "pytest",
    about: "the Python SDK's tests",
    needs: ["python"],
    after: ["servers"],
    async run(signal) {
      const outcome = await python([["pytest", "-q", `--junitxml=${PYTEST_REPORT}`]], signal, "");
      return withCounts(outcome, existsSync(PYTEST_REPORT) ? countPytest(PYTEST_REPORT) : undefined);
    },
  },
  {
    name: "lint",
    about: "format and lint (biome)",
    run: (signal) => commands([bin("biome", "check", "--colors=off", "--error-on-warnings", ".")], { signal }, "biome"),
  },
  {
    name: "imports",
    about: "which folder may import which",
    run: (signal) => commands([node("scripts/check-imports.ts")], { signal }, "import table"),
  },
  {
    name: "types",
    about: "types of server, tests, scripts and SDK",
    needs: ["sdk"],
    run: (signal) => commands([bin("tsc", "-p", "."), bin("tsc", "-p", "sdk/typescript")], { signal }, "tsc"),
  },
  {
    name: "protos",
    about: "lint, format and breaking changes of proto/",
    run(signal) {
      const list = [
        bin("buf", "lint"),
        bin("buf", "format", "--diff", "--exit-code", "proto"),
        node("scripts/check-breaking.ts"),
      ];
      return commands(list, { signal }, "buf lint, format, breaking");
    },
  },
  {
    name: "generated",
    about: "generated code is what proto/ makes",
    needs: ["python"],
    run: (signal) => commands([node("scripts/generate.ts", "--check")], { signal }, "up to date"),
  },
  {
    name: "sdk-package",
    about: "the TypeScript SDK as npm would pack it (publint, attw)",
    needs: ["sdk"],
    run: (signal) =>
      commands([["npm", "run", "check:package", "--silent", "-w", "agentbus"]], { signal }, "publint, attw"),
  },
  {
    name: "python-lint",
    about: "format, lint and types of the Python SDK",
    needs: ["python"],
    run: (signal) =>
      python([["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], signal, "ruff, mypy --strict"),
  },
  {
    name: "wheel",
    about: "the Python SDK as a wheel",
    needs: ["python"],
    async run(signal) {
      const build: Command = [
        "python3",
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        join(RESULTS, "wheel"),
      ];
      const outcome = await python([build], signal, "");
      return { ...outcome, detail: globSync("*.whl", { cwd: join(RESULTS, "wheel") }).join() || outcome.detail };
    },
  },
  {
    name: "requirements",
    about: "the count of proven requirements in README.md is right",
    after: ["vitest", "pytest"],
    run: (signal) => commands([node("scripts/requirements.ts", "--check")], { signal }, "README.md"),
  },
  // At the end, two at a time: each takes most of a core, and its servers are its own.
  chaos("file"),
  chaos("redis", "--nodes", "2"),
  chaos("postgres", "--nodes", "2"),
  chaos("mysql", "--nodes", "2"),
];

/** A minute of faults under load; the checker judges what clients of both SDKs saw. */
function chaos(backend: string, ...more: readonly string[]): Step {
  const command = node("scripts/chaos.ts", "--backend", backend, "--minutes", "1", ...more);
  return {
    name: `chaos-${backend}`,
    about: `a minute of faults under load on ${backend}; the checker judges what clients saw`,
    needs: ["sdk", "python"],
    after: ["vitest", "pytest"],
    async run(signal) {
      const kind = STORAGE_SERVERS[backend];
      if (kind !== undefined && findPrograms(SERVER_KINDS[kind]) === undefined) {
        const required = process.env["AGENTBUS_TEST_REQUIRE"] === "1";
        const detail = `WITHOUT: the programs of ${kind} are not on this machine`;
        return { status: required ? "failed" : "skipped", detail, output: "" };
      }
      const outcome = await commands([command], { signal }, "");
      return {
        ...outcome,
        detail: outcome.status === "passed" ? "nothing lost, doubled or reordered" : outcome.detail,
      };
    },
  };
}

function withCounts(outcome: StepOutcome, counts: StepOutcome["counts"]): StepOutcome {
  if (counts === undefined) return { ...outcome, status: "failed", detail: "no report was written" };
  const detail = `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
  return { ...outcome, detail, counts };
}

/** The named steps and what they need, in the order of the list. Throws for a name that is none. */
export function chooseSteps(names: readonly string[]): readonly Step[] {
  if (names.length === 0) return STEPS;
  const chosen = new Set<string>();
  const choose = (name: string) => {
    const step = STEPS.find((candidate) => candidate.name === name);
    if (step === undefined)
      throw new Error(`there is no step ${name}; there are ${STEPS.map((it) => it.name).join(", ")}`);
    chosen.add(name);
    for (const needed of step.needs ?? []) choose(needed);
  };
  for (const name of names) choose(name);
  return STEPS.filter((step) => chosen.has(step.name));
}
