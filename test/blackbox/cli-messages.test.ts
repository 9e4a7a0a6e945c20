import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { type BusProcess, startBus } from "../support/bus-process.ts";
import { runCli, startCli } from "./cli-program.ts";

describe("agentbus publish, subscribe and fetch", () => {
  let bus: BusProcess;
  beforeAll(async () => {
    bus = await startBus();
  });
  afterAll(() => bus.stop());
  let channels = 0;
  const newChannel = () => `cli:c${++channels}`;
  const run = (...args: string[]) => runCli(args, { url: bus.url });
  const start = (...args: string[]) => startCli(args, { url: bus.url });

  it("publish prints the position, and fetch prints the line", async () => {
    const channel = newChannel();
    const published = await run("--agent", "alice", "publish", channel, "hello", "world");
    assert.equal(published.code, 0, published.stderr);
    assert.match(published.stdout, new RegExp(`^${channel}@[0-9a-f]{8}\\.1\n$`));
    const fetched = await run("fetch", channel);
    assert.match(fetched.stdout, new RegExp(`^\\d\\d:\\d\\d:\\d\\d ${channel} alice: hello world\n$`));
    assert.equal(fetched.stderr, "");
  });

  it("--json gives every field under the contract's names", async () => {
    const channel = newChannel();
    const flags = ["--type", "event", "--name", "UserCreated", "--metadata", "a=b=c", "--priority", "7"];
    flags.push("--content-type", "application/json", "--correlation", "talk-1", "--reply-to", "_inbox:alice");
    flags.push("--ordering", "user-7", "--ttl", "1h", "--id", "m-1", "--key", "k-1");
    const published = await run("--json", "--agent", "alice", "publish", channel, ...flags, '{"id":7}');
    assert.equal(published.code, 0, published.stderr);
    const [receipt] = published.json();
    assert.equal(receipt?.["id"], "m-1");
    assert.equal(receipt?.["duplicate"], false);
    assert.equal(receipt?.["durability"], "volatile");

    const fetched = await run("--json", "fetch", channel);
    const [message, page] = fetched.json();
    const { acceptTime, epoch, ...rest } = message!;
    assert.match(String(acceptTime), /^\d{4}-.*Z$/);
    assert.equal(typeof epoch, "number");
    assert.deepEqual(rest, {
      position: receipt?.["position"],
      id: "m-1",
      type: "event",
      name: "UserCreated",
      text: '{"id":7}',
      contentType: "application/json",
      metadata: { a: "b=c" },
      priority: 7,
      idempotencyKey: "k-1",
      orderingKey: "user-7",
      correlationId: "talk-1",
      replyTo: "_inbox:alice",
      timeToLive: "3600s",
      room: "cli",
      channel: channel.split(":")[1],
      sender: "alice",
      sequence: 1,
      hopCount: 0,
    });
    assert.deepEqual(page, { page: { position: receipt?.["position"], caughtUp: true } });
  });

  it("publishes lines of standard input in order, each a message", async () => {
    const channel = newChannel();
    const piped = await runCli(["publish", channel, "-"], { url: bus.url, input: "a\r\nb\n\nc" });
    assert.equal(piped.code, 0, piped.stderr);
    assert.equal(piped.lines().length, 4);
    const { stdout } = await run("--json", "fetch", channel);
    assert.deepEqual(
      stdout
        .split("\n")
        .slice(0, 4)
        .map((line) => (JSON.parse(line) as { text: string }).text),
      ["a", "b", "", "c"],
    );
  });

  it("publishes lines as they come, and ends a silent input at the first refusal", async () => {
    const channel = newChannel();
    const cli = start("publish", channel, "--to", "nobody-here", "-");
    cli.child.stdin?.write("first\n");
    // Standard input stays open: it is the refusal that ends it.
    const { code, stderr, stdout } = await cli.outcome;
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.match(stderr, /line 1 of standard input was not published/);
    assert.match(stderr, /UNKNOWN_RECIPIENT/);
  });

  it("is a link of a pipe: 2,000 lines in, 2,000 out, in order", async () => {
    const channel = newChannel();
    const texts = Array.from({ length: 2_000 }, (_, i) => `line ${i}`);
    const piped = await runCli(["publish", channel, "-"], { url: bus.url, input: `${texts.join("\n")}\n` });
    assert.equal(piped.code, 0, piped.stderr);
    assert.equal(piped.lines().length, 2_000);
    const fetched = await run("--json", "fetch", channel, "-n", "2000");
    assert.deepEqual(
      fetched
        .json()
        .slice(0, -1)
        .map((message) => message["text"]),
      texts,
    );
  });

  it("--key stores the same once, and says so", async () => {
    const channel = newChannel();
    const args = ["--json", "--agent", "alice", "publish", channel, "--key", "once", "paid"];
    const [first, again] = [await run(...args), await run(...args)];
    assert.equal(again.json()[0]?.["duplicate"], true);
    assert.equal(again.json()[0]?.["position"], first.json()[0]?.["position"]);
    const other = await run(...args.slice(0, -1), "paid twice");
    assert.equal(other.code, 1);
    assert.equal(JSON.parse(other.stderr).error.reason, "IDEMPOTENCY_CONFLICT");
  });

  it("--to without a channel goes to the inbox, and nobody else reads it", async () => {
    await run("agents", "register", "bob");
    const sent = await run("--agent", "alice", "publish", "--to", "bob", "psst: in private");
    assert.equal(sent.code, 0, sent.stderr);
    const own = await run("--agent", "bob", "fetch", "_inbox:bob");
    assert.match(own.stdout, /\(inbox\) alice: psst: in private\n$/);
    const stranger = await run("--agent", "mallory", "--json", "fetch", "_inbox:bob");
    assert.equal(stranger.code, 1);
    assert.equal(JSON.parse(stranger.stderr).error.reason, "INBOX_PRIVATE");
  });

  it("--capability and --limit choose who reads it", async () => {
    const channel = newChannel();
    await Promise.all(["t1", "t2"].map((id) => run("agents", "register", id, "--capability", "translate")));
    const args = ["--json", "publish", channel, "--capability", "translate", "--limit", "1", "Guten Tag"];
    const [receipt] = (await run(...args)).json();
    const audience = receipt?.["audience"] as { count: number; agents: string[] };
    assert.equal(audience.count, 1);
    const reads = async (id: string) => (await run("--json", "--agent", id, "fetch", channel)).lines().length - 1;
    assert.equal(await reads(audience.agents[0]!), 1);
    assert.equal(await reads(audience.agents[0] === "t1" ? "t2" : "t1"), 0);
  });

  it("subscribe follows, also one's own messages without --agent, and Ctrl-C ends it with 0", async () => {
    const channel = newChannel();
    await run("publish", channel, "before");
    const reader = start("subscribe", channel, "--last", "1");
    assert.match((await reader.printedLines(1))[0]!, /before$/);
    await run("publish", channel, "now");
    assert.match((await reader.printedLines(2))[1]!, /now$/);
    reader.child.kill("SIGINT");
    const { code, stderr } = await reader.outcome;
    assert.equal(code, 0);
    assert.equal(stderr, "");
  });

  it("subscribe takes patterns, filters and a count", async () => {
    const name = `room${++channels}`;
    const reader = start("--json", "subscribe", `${name}:*`, "--earliest", "--name", "Wanted", "-n", "2");
    await run("publish", `${name}:one`, "--name", "Unwanted", "x");
    await run("publish", `${name}:one`, "--name", "Wanted", "1");
    await run("publish", `${name}:two`, "--name", "Wanted", "2");
    const { code, json } = await reader.outcome;
    assert.equal(code, 0);
    assert.deepEqual(
      json().map((message) => message["text"]),
      ["1", "2"],
    );
  });

  it("subscribe without channels reads the inbox and what was joined", async () => {
    const channel = newChannel();
    await run("--agent", "carol", "channels", "join", channel);
    const reader = start("--json", "--agent", "carol", "subscribe", "--earliest", "-n", "2");
    await run("--agent", "alice", "publish", channel, "to all");
    await run("--agent", "alice", "publish", "--to", "carol", "to carol");
    const { json } = await reader.outcome;
    assert.deepEqual(
      json()
        .map((message) => message["text"])
        .sort(),
      ["to all", "to carol"],
    );
  });

  it("--positions-file goes on where the last run stopped, without a gap or a double", async () => {
    const folder = mkdtempSync(join(tmpdir(), "agentbus-cli-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "positions.json");
    const channel = newChannel();
    const read = (count: number) =>
      run(
        "--json",
        "--agent",
        "dora",
        "subscribe",
        channel,
        "--earliest",
        "--positions-file",
        file,
        "-n",
        String(count),
      );
    await runCli(["publish", channel, "-"], { url: bus.url, input: "1\n2\n3\n4\n5\n" });
    const first = await read(2);
    const second = await read(3);
    assert.deepEqual(
      [...first.json(), ...second.json()].map((message) => message["text"]),
      ["1", "2", "3", "4", "5"],
    );
    const saved = JSON.parse(readFileSync(file, "utf8")) as Record<string, string[]>;
    assert.deepEqual(Object.keys(saved), ["dora/subscribe"]);
    assert.match(saved["dora/subscribe"]![0]!, /\.5$/);

    writeFileSync(file, "[1, 2");
    const damaged = await read(1);
    assert.equal(damaged.code, 1);
    assert.match(damaged.stderr, /holds no positions/);
  });

  it("subscribe ends quietly when its reader leaves", async () => {
    const channel = newChannel();
    const reader = start("subscribe", channel, "--earliest");
    await run("publish", channel, "one");
    await reader.printedLines(1);
    reader.child.stdout?.destroy();
    const writer = start("publish", channel, "-");
    // The second write to the closed pipe is what tells.
    writer.child.stdin?.end("two\nthree\n");
    await writer.outcome;
    const { code, stderr } = await reader.outcome;
    assert.equal(code, 0);
    assert.equal(stderr, "");
  });

  it("fetch reads both ways, from a position, an id and an instant", async () => {
    const channel = newChannel();
    await runCli(["publish", channel, "-"], { url: bus.url, input: "1\n2\n3\n4\n" });
    const all = (await run("--json", "fetch", channel)).json();
    const texts = async (...args: string[]) =>
      (await run("--json", "fetch", channel, ...args)).json().flatMap((line) => ("page" in line ? [] : [line["text"]]));
    assert.deepEqual(await texts("--backward", "-n", "2"), ["4", "3"]);
    assert.deepEqual(await texts("--after", String(all[1]?.["position"])), ["3", "4"]);
    assert.deepEqual(await texts("--after-id", String(all[1]?.["id"]), "--backward"), ["1"]);
    assert.deepEqual(await texts("--since", String(all[0]?.["acceptTime"]), "-n", "1"), ["1"]);
    assert.deepEqual(await texts("--since", "1h"), ["1", "2", "3", "4"]);
    const part = await run("fetch", channel, "-n", "3");
    assert.match(part.stderr, new RegExp(`there is more: --after '${channel}@[0-9a-f]{8}\\.3'`));
  });

  it("fetch --wait waits for the first message", async () => {
    const channel = newChannel();
    await run("channels", "create", channel, "--create-room");
    const waiting = start("--json", "fetch", channel, "--wait", "60s");
    await run("publish", channel, "at last");
    const { code, json } = await waiting.outcome;
    assert.equal(code, 0);
    assert.equal(json()[0]?.["text"], "at last");
  });

  it("Ctrl-C before the end is 130", async () => {
    const channel = newChannel();
    await run("channels", "create", channel, "--create-room");
    const waiting = start("fetch", channel, "--wait", "60s");
    const reader = start("publish", channel, "-");
    reader.child.stdin?.write("a line\n");
    await reader.printedLines(1);
    reader.child.kill("SIGINT");
    assert.equal((await reader.outcome).code, 130);
    // The line was what the other one waited for.
    assert.equal((await waiting.outcome).code, 0);
  });

  it("does not let what others send move the terminal", async () => {
    const channel = newChannel();
    await run("publish", channel, "harm\u001b[2Jless\nsecond line");
    const { stdout } = await run("fetch", channel);
    assert.match(stdout, /: harm\\x1b\[2Jless\n {2}second line\n$/);
  });
});
