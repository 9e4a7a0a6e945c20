import assert from "node:assert/strict";
import { afterAll, beforeAll, describe, it } from "vitest";
import { type BusProcess, startBus } from "../support/bus-process.ts";
import { runCli, startCli } from "./cli-program.ts";

describe("agentbus rooms, channels, agents, status, ping and bench", () => {
  let bus: BusProcess;
  beforeAll(async () => {
    bus = await startBus();
  });
  afterAll(() => bus.stop());
  const run = (...args: string[]) => runCli(args, { url: bus.url });
  /** Runs with --json and answers the lines; the command must succeed. */
  const json = async (...args: string[]) => {
    const outcome = await run("--json", ...args);
    assert.equal(outcome.code, 0, outcome.stderr);
    return outcome.json();
  };
  const only = async (...args: string[]) => {
    const [first, ...more] = await json(...args);
    assert.ok(first !== undefined && more.length === 0, "one line of JSON");
    return first;
  };

  it("rooms: create, get, list, update, delete", async () => {
    const create = ["rooms", "create", "lab.one", "--description", "a lab", "--metadata", "k=v", "--max-age", "1h"];
    assert.equal((await run(...create)).stdout, "room lab.one is there\n");
    const room = await only("rooms", "get", "lab.one");
    assert.equal(room["description"], "a lab");
    assert.deepEqual(room["metadata"], { k: "v" });
    assert.equal((room["defaults"] as { retention: object }).retention["maxAgeDuration" as never], "3600s");
    assert.equal((await run("rooms", "list", "lab.*")).stdout, "lab.one\t0\ta lab\n");

    await run("channels", "create", "lab.one:work");
    const updated = await only("rooms", "update", "lab.one", "--routing", "round_robin", "--no-auto-create");
    assert.equal((updated["room"] as Record<string, unknown>)["autoCreateChannels"], false);
    assert.equal((updated["effectivePositions"] as string[]).length, 1);
    const refused = await run("publish", "lab.one:other", "x");
    assert.match(refused.stderr, /CHANNEL_NOT_FOUND/);

    const full = await run("rooms", "delete", "lab.one");
    assert.equal(full.code, 1);
    assert.match(full.stderr, /ROOM_NOT_EMPTY/);
    assert.equal((await run("rooms", "delete", "lab.one", "--force")).stdout, "room lab.one is deleted\n");
    assert.match((await run("rooms", "get", "lab.one")).stderr, /ROOM_NOT_FOUND/);
  });

  it("channels: create, get, list, join, members, leave, update, delete", async () => {
    const created = await only("channels", "create", "hall.two:work", "--create-room", "--max-members", "1");
    assert.equal(created["room"], "hall.two");
    assert.equal((created["effectiveConfig"] as Record<string, unknown>)["maxMembers"], 1);
    assert.equal((await run("--agent", "alice", "channels", "join", "hall.two:work")).stdout, "joined hall.two:work\n");
    const second = await run("--agent", "bob", "channels", "join", "hall.two:work");
    assert.match(second.stderr, /CHANNEL_FULL/);
    const member = await only("channels", "members", "hall.two:work");
    assert.equal(member["agentId"], "alice");
    assert.match((await run("channels", "members", "hall.two:work")).stdout, /^alice\t\d{4}-.*Z\n$/);
    assert.equal((await json("channels", "list", "hall.two")).length, 1);
    assert.equal((await json("channels", "list", "hall.*:work")).length, 1);
    assert.match((await run("channels", "get", "hall.two:work")).stdout, /^memberCount\t1$/m);
    await run("--agent", "alice", "channels", "leave", "hall.two:work");
    assert.equal((await run("channels", "members", "hall.two:work")).stdout, "");

    const routing = ["--routing", "capability", "--routing-capability", "sum", "--routing-limit", "1"];
    const changed = await run("channels", "update", "hall.two:work", ...routing, "--no-sender-recipients");
    assert.match(changed.stdout, /channel hall\.two:work is changed/);
    const channel = await only("channels", "get", "hall.two:work");
    assert.deepEqual((channel["config"] as Record<string, unknown>)["routing"], {
      strategy: "capability",
      allowSenderRecipients: false,
      capabilities: ["sum"],
      limit: 1,
    });
    assert.equal((await run("channels", "delete", "hall.two:work")).code, 0);
    assert.match((await run("channels", "get", "hall.two:work")).stderr, /CHANNEL_NOT_FOUND/);
  });

  it("agents: register, get, list, update, disconnect, delete", async () => {
    const profile = ["--kind", "ai_agent", "--group", "linguists", "--capability", "translate", "--label", "tier=gold"];
    await run("agents", "register", "erin", ...profile, "--screen-name", "Erin", "--personality", "dry");
    const agent = await only("agents", "get", "erin");
    assert.equal(agent["kind"], "ai_agent");
    assert.equal(agent["screenName"], "Erin");
    assert.deepEqual(agent["capabilities"], [{ name: "translate" }]);
    assert.deepEqual(agent["labels"], { tier: "gold" });
    const updated = await only("agents", "update", "erin", "--description", "translates");
    assert.equal(updated["description"], "translates");
    assert.equal(updated["screenName"], "Erin");
    const fitting = ["--capability", "translate", "--group", "linguists", "--label", "tier=gold", "--kind", "ai_agent"];
    const listed = await run("agents", "list", ...fitting);
    assert.match(listed.stdout, /^erin\tai_agent\t\w+\tlinguists\ttranslate\ttranslates\n$/);
    assert.deepEqual(await json("agents", "list", "--state", "online", "--group", "linguists", "--kind", "human"), []);
    assert.equal((await run("agents", "disconnect", "erin")).code, 0);
    const deleted = await run("agents", "delete", "erin");
    assert.equal(deleted.stdout, "agent erin is deleted\n", deleted.stderr);
    assert.match((await run("agents", "get", "erin")).stderr, /AGENT_NOT_FOUND/);
  });

  it("rooms watch and agents watch follow until Ctrl-C", async () => {
    await run("rooms", "create", "watched");
    const rooms = startCli(["--json", "rooms", "watch", "watched"], { url: bus.url });
    const agents = startCli(["agents", "watch", "frank"], { url: bus.url });
    await run("agents", "register", "frank");
    assert.match((await agents.printedLines(1))[0]!, /^\w+ frank/);
    // The watch has no first word: what happens until it is open is not told, so it happens until it is.
    let printed = 0;
    for (let i = 0; printed === 0; i++) {
      await run("channels", "create", `watched:c${i}`);
      printed = rooms.printed.stdout.length;
    }
    const [first] = await rooms.printedLines(1);
    assert.match(String((JSON.parse(first!) as Record<string, unknown>)["channel"]), /^watched:c\d+$/);
    for (const watch of [rooms, agents]) {
      watch.child.kill("SIGTERM");
      assert.equal((await watch.outcome).code, 0);
    }
  });

  it("status shows nodes, agents and channels", async () => {
    await run("publish", "busy:channel", "x");
    const status = await only("status");
    const [node] = status["nodes"] as Record<string, unknown>[];
    assert.equal(node?.["serving"], true);
    assert.equal(node?.["storage"], "memory");
    assert.ok((status["channels"] as number) >= 1);
    const text = (await run("status")).stdout;
    assert.match(text, /\tserving\t/);
    assert.match(text, /^agents\t\d+ known, \d+ online$/m);
    assert.match(text, /^busy:channel\t/m);
  });

  it("ping answers with the node and the time it took", async () => {
    const answers = await json("ping", "-n", "2", "--interval", "1ms");
    assert.equal(answers.length, 2);
    assert.equal(answers[0]?.["url"], bus.url);
    assert.equal(typeof answers[0]?.["milliseconds"], "number");
    assert.match((await run("ping")).stdout, /: [\d.]+ ms\n$/);
  });

  it("bench measures both sides, loses nothing, and cleans up", async () => {
    const load = ["--messages", "500", "--publishers", "2", "--subscribers", "3", "--size", "64B"];
    const result = await only("bench", ...load);
    const { published, delivered, missing } = result as Record<string, Record<string, unknown>>;
    assert.equal(published?.["messages"], 500);
    assert.equal(delivered?.["messages"], 1_500);
    assert.equal(missing as unknown, 0);
    const latency = delivered?.["latency"] as { p50: number; p99: number; max: number };
    assert.ok(latency.p50 > 0 && latency.p50 <= latency.p99 && latency.p99 <= latency.max);
    assert.deepEqual(await json("rooms", "list", "bench.*"), []);
    assert.ok(!(await run("agents", "list")).stdout.includes("bench-"));
    const text = (await run("bench", "--messages", "50", "--rate", "1000", "--subscribers", "0")).stdout;
    assert.match(text, /^memory storage, volatile; payloads of 256B\npublished {2}50 messages, \d+\/s/);
  });

  it("bench leaves nothing behind when it is stopped", async () => {
    const bench = startCli(["bench", "--messages", "100000000", "--rate", "10"], { url: bus.url });
    for (let rooms = 0; rooms === 0; ) rooms = (await json("rooms", "list", "bench.*")).length;
    bench.child.kill("SIGINT");
    assert.equal((await bench.outcome).code, 130);
    assert.deepEqual(await json("rooms", "list", "bench.*"), []);
  });
});
