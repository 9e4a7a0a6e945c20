import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type BusProcess, startBus } from "../support/bus-process.ts";
import { waitUntil } from "../support/wait.ts";
import { type CliOutcome, runCli, startCli } from "./cli-program.ts";

/** Nothing listens there: the port is reserved, and never given out. */
const NOWHERE = "http://127.0.0.1:1";
const ESCAPE = "\u001b";

describe("agentbus as a program", () => {
  it("explains itself, with examples for each command", async () => {
    const main = await runCli(["--help"]);
    assert.equal(main.code, 0);
    for (const text of ["serve", "publish", "subscribe", "bench", "Exit codes:", "AGENTBUS_URL", "Examples:"]) {
      assert.ok(main.stdout.includes(text), text);
    }
    const publish = await runCli(["publish", "--help"]);
    assert.equal(publish.code, 0);
    assert.match(publish.stdout, /Global Options:[\s\S]*--api-key[\s\S]*Examples:\n {2}\$ agentbus publish/);
    assert.match((await runCli(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  });

  const wrong: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [["publis"], /unknown command 'publis'\n\(Did you mean publish\?\)/],
    [["publish", "--prioritty", "3", "a:b", "x"], /unknown option '--prioritty'\n\(Did you mean --priority\?\)/],
    [["publish"], /say where and what/],
    [["publish", "science:explore"], /nothing to publish/],
    [["publish", "hello"], /"hello" is not a channel/],
    [["publish", "a:b", "--priority", "10", "x"], /Give a whole number from 0 to 9/],
    [["publish", "a:b", "--type", "note", "x"], /Allowed choices are message, event/],
    [["publish", "a:b", "--metadata", "novalue", "x"], /Give it as key=value/],
    [["publish", "a:b", "--ttl", "soon", "x"], /Give a duration such as/],
    [["publish", "a:b", "--limit", "1", "x"], /--limit goes with/],
    [["publish", "a:b", "--key", "k", "-"], /--id and --key name one message/],
    [["subscribe", "a:b", "--last", "1", "--earliest"], /give one of --last, --earliest/],
    [["subscribe", "a:b", "--since", "yesterday"], /Give an instant such as/],
    [["fetch", "lab"], /channel "lab" must be written room:channel/],
    [["channels", "join", "a b:c"], /must be written room:channel/],
    [["subscribe", "lab"], /must be written room:channel/],
    [["subscribe", "a:b", "--resume", "a:b"], /argument 'a:b' is invalid/],
    [["fetch"], /missing required argument 'channel'/],
    [["fetch", "a:b", "--after", "p", "--since", "1h"], /give one of --after/],
    [["rooms", "create", "lab", "--max-bytes", "a lot"], /Give a size such as/],
    [["rooms", "update", "lab"], /say what to change/],
    [["channels", "update", "lab:one"], /say what to change/],
    [["agents", "update", "alice"], /say what to change/],
    [["agents", "list", "--kind", "robot"], /Allowed choices are human, ai_agent/],
    [["key", "create"], /required option '--name <name>' not specified/],
  ];
  it.each(wrong)("%j is refused with 2, bus or not", async (args, message) => {
    const told = await runCli(args, { url: NOWHERE });
    assert.equal(told.code, 2);
    assert.equal(told.stdout, "");
    assert.match(told.stderr, message);
    assert.match(told.stderr, /^agentbus: /);
  });

  it("does not mind a reader that leaves early", async () => {
    const cli = startCli(["--help"]);
    cli.child.stdout?.destroy();
    const { code, stderr } = await cli.outcome;
    assert.equal(code, 0);
    assert.equal(stderr, "");
  });

  it("tells what was wrong as JSON, too", async () => {
    const usage = await runCli(["--json", "publish", "a:b"], { url: NOWHERE });
    assert.equal(usage.code, 2);
    assert.equal(JSON.parse(usage.stderr).error.kind, "usage");
    const away = await runCli(["--json", "ping"], { url: NOWHERE });
    assert.equal(away.code, 1);
    const { error } = JSON.parse(away.stderr);
    assert.equal(error.kind, "bus");
    assert.equal(error.code, "UNAVAILABLE");
    assert.match(error.hint, /agentbus serve/);
  });

  it("says where it looked for a bus that does not answer", async () => {
    const away = await runCli(["status"], { url: NOWHERE });
    assert.equal(away.code, 1);
    assert.match(away.stderr, /No bus answers at http:\/\/127\.0\.0\.1:1\. Start one with "agentbus serve"/);
    const url = await runCli(["--url", "localhost:7400", "ping"]);
    assert.equal(url.code, 2);
    assert.match(url.stderr, /starts with http:\/\/ or https:\/\//);
  });

  it("makes API keys: the key once, and its hash for the configuration", async () => {
    const made = await runCli(["key", "create", "--name", "alice", "--agents", "alice", "--agents", "alice-*"]);
    assert.equal(made.code, 0);
    assert.match(made.stdout, /^bus_[\w-]{43}\n$/);
    assert.match(made.stderr, /apiKeys:\n {4}- name: alice\n {6}sha256: [0-9a-f]{64}\n {6}agents:\n {8}- alice/);
    assert.ok(!made.stderr.includes(made.stdout.trim()), "the configuration holds only the hash");
    const [json] = (await runCli(["--json", "key", "create", "--name", "ops", "--admin"])).json();
    assert.deepEqual(Object.keys(json?.["config"] as object), ["name", "sha256", "agents", "admin"]);
  });
});

describe("agentbus with API keys", () => {
  it("acts for the key's own agent, and says what to do without a key", async () => {
    const [made] = (await runCli(["--json", "key", "create", "--name", "alice", "--agents", "alice"])).json();
    const apiKeys = JSON.stringify([made?.["config"]]);
    await using bus = await startBus({ args: ["--set", `auth.apiKeys=${apiKeys}`] });
    const key = { AGENTBUS_API_KEY: String(made?.["key"]) };
    const run = (args: string[], env = {}) => runCli(args, { url: bus.url, env });

    const stranger = await run(["publish", "a:b", "x"]);
    assert.equal(stranger.code, 1);
    assert.match(stranger.stderr, /UNAUTHENTICATED[\s\S]*AGENTBUS_API_KEY/);
    await run(["agents", "register", "alice"], key);
    assert.equal((await run(["publish", "a:b", "x"], key)).code, 0);
    assert.match((await run(["fetch", "a:b"], key)).stdout, / alice: x\n$/);
    const bench = await run(["bench", "--messages", "20", "--publishers", "2", "--subscribers", "2"], key);
    assert.equal(bench.code, 0, bench.stderr);
    const other = await run(["--agent", "bob", "publish", "a:b", "x"], key);
    assert.match(other.stderr, /AGENT_NOT_ALLOWED/);
  });
});

describe.skipIf(!existsSync("/usr/bin/script"))("agentbus on a terminal", () => {
  let bus: BusProcess;
  beforeAll(async () => {
    bus = await startBus();
  });
  afterAll(() => bus.stop());
  /** `script` gives the program a terminal; standard error goes there, too. */
  const onTerminal = (args: string[], env: Record<string, string> = {}): Promise<CliOutcome> =>
    runCli(args, {
      url: bus.url,
      under: ["script", "-qe", "/dev/null", "-c"],
      env: { TERM: "xterm-256color", ...env },
    });

  it("aligns tables under headings, and colours", async () => {
    await runCli(["channels", "create", "wide.room.name:c", "--create-room"], { url: bus.url });
    await runCli(["channels", "create", "r:c", "--create-room"], { url: bus.url });
    const { stdout } = await onTerminal(["channels", "list"]);
    const [head, first, second] = stdout
      .replaceAll("\r", "")
      .slice(stdout.indexOf(`${ESCAPE}[1m`))
      .split("\n");
    assert.ok(head?.startsWith(`${ESCAPE}[1mCHANNEL `), JSON.stringify(stdout));
    assert.equal(first!.indexOf("0"), second!.indexOf("0"));
  });

  it("shows what it waits for, and takes that away", async () => {
    await runCli(["channels", "create", "r:quiet", "--create-room"], { url: bus.url });
    const waiting = startCli(["fetch", "r:quiet", "--wait", "60s"], {
      ...{ url: bus.url, under: ["script", "-qe", "/dev/null", "-c"], env: { TERM: "xterm-256color" } },
    });
    await waitUntil(() => /waiting for r:quiet \(\d+ s\)/.test(waiting.printed.stdout));
    await runCli(["publish", "r:quiet", "x"], { url: bus.url });
    const { code, stdout } = await waiting.outcome;
    assert.equal(code, 0);
    assert.match(stdout.replaceAll(/\p{Cc}\[[\d;]*m/gu, ""), /\r\p{Cc}\[2K\d\d:\d\d:\d\d r:quiet .*: x\r\n$/u);
  });

  it("uses no colours with NO_COLOR, and none with --json", async () => {
    await runCli(["publish", "r:c", "x"], { url: bus.url });
    assert.ok((await onTerminal(["fetch", "r:c"])).stdout.includes(`${ESCAPE}[`));
    const plain = await onTerminal(["fetch", "r:c"], { NO_COLOR: "1" });
    assert.ok(!plain.stdout.includes(ESCAPE), JSON.stringify(plain.stdout));
    const json = await onTerminal(["--json", "fetch", "r:c"]);
    assert.ok(!json.stdout.includes(ESCAPE));
  });
});
