import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { createConnection } from "mysql2/promise";
import pg from "pg";
import { describe, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { startBus } from "../support/bus-process.ts";
import { describeWithServer } from "../support/test-servers.ts";
import { removePrefix } from "../support/test-storage.ts";
import { openClients } from "../support/wire-clients.ts";
import { runCli } from "./cli-program.ts";

const folder = new URL("../../docs/", import.meta.url);
const PAGE = readFileSync(new URL("operations.md", folder), "utf8");
const RULES = readFileSync(new URL("../../deploy/prometheus-rules.yaml", import.meta.url), "utf8");

/** The lines of the block behind `<!-- run: name -->`, for a bus of another name: tests share a server. */
function lines(name: string, bus: string): string[] {
  const match = new RegExp(`<!-- run: ${name} -->\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(PAGE);
  assert.ok(match, `no block "run: ${name}"`);
  return match[1]!.trim().replaceAll("agentbus", bus).split("\n");
}

const ownName = () => `ops${randomBytes(6).toString("hex")}`;
/** The words of a line as a shell reads them. */
const wordsOf = (line: string) => [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
/** The server's URL with the user and the database of the page. */
function urlFor(server: string, bus: string, database: string): string {
  const url = new URL(server);
  return `${url.protocol}//${bus}:secret@${url.host}/${database}`;
}

/** A node with the user of the page makes what it needs, keeps messages, and looks after them. */
async function serves(storage: string): Promise<void> {
  await using bus = await startBus({ args: ["--storage", storage, "--set", "cleanupInterval=100ms"] });
  using clients = openClients(bus.url);
  const messages = [{ payload: { case: "text" as const, value: "kept" } }];
  await clients.bus.publish({ agentId: "alice", room: "a", channel: "b", messages });
  await clients.rooms.deleteRoom({ room: "a", force: true });
  await bus.waitForLog((line) => line.msg === "this node is the sweeper", "that it looks after the storage");
  assert.deepEqual(await bus.stop(), { code: 0, signal: null });
  assert.deepEqual(
    bus.log.filter(({ level }) => level === "error"),
    [],
  );
}

await describeWithServer("redis", (server) => {
  it("docs/operations.md: its user of Redis has the rights that a node needs", async () => {
    const bus = ownName();
    const admin = new Redis(server);
    onTestFinished(async () => {
      await admin.call("ACL", "DELUSER", bus);
      admin.disconnect();
      await removePrefix("redis", server, bus);
    });
    for (const line of lines("redis", bus)) {
      const [program, command, ...args] = wordsOf(line);
      assert.equal(program, "redis-cli");
      await admin.call(command!, ...args);
    }
    await serves(`${urlFor(server, bus, "0")}?prefix=${bus}`);
  });
});

await describeWithServer("postgres", (server) => {
  it("docs/operations.md: its user of PostgreSQL has the rights that a node needs", async () => {
    const bus = ownName();
    const admin = new pg.Client({ connectionString: server });
    await admin.connect();
    onTestFinished(async () => {
      await admin.query(`DROP DATABASE IF EXISTS ${bus} WITH (FORCE)`);
      await admin.query(`DROP ROLE IF EXISTS ${bus}`);
      await admin.end();
    });
    for (const line of lines("postgres", bus)) await admin.query(line);
    await serves(urlFor(server, bus, bus));
  });
});

await describeWithServer("mariadb", (server) => {
  it("docs/operations.md: its user of MariaDB has the rights that a node needs", async () => {
    const bus = ownName();
    const admin = await createConnection(server);
    onTestFinished(async () => {
      await admin.query(`DROP DATABASE IF EXISTS ${bus}`);
      await admin.query(`DROP USER IF EXISTS ${bus}`);
      await admin.end();
    });
    for (const line of lines("mariadb", bus)) await admin.query(line);
    await serves(urlFor(server, bus, bus));
  });
});

describe("docs/operations.md", () => {
  it("every `npx agentbus` that it prints does what it says", async () => {
    const commands = [...PAGE.matchAll(/`npx agentbus ([^`]+)`/g)].map(([, args]) => args!);
    assert.ok(commands.length >= 4);
    await using bus = await startBus();
    for (const args of new Set(commands)) {
      const { code, stdout, stderr } = await runCli(wordsOf(args), { url: bus.url });
      assert.equal(code, 0, `agentbus ${args}: ${stderr}`);
      assert.notEqual(stdout, "", args);
    }
  });

  it("its links lead to files and headings", () => {
    for (const [, link] of PAGE.matchAll(/\]\(([^)\s]+)\)/g)) {
      const [path, heading] = link!.split("#");
      const file = new URL(path!, folder);
      assert.ok(existsSync(file), link);
      if (heading === undefined) continue;
      const headings = [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, text]) => text!);
      assert.ok(headings.map((text) => text.toLowerCase().replaceAll(" ", "-")).includes(heading), link);
    }
  });

  it("S1-7.3: it and deploy/prometheus-rules.yaml name metrics that a node has, and settings that there are", async () => {
    await using bus = await startBus();
    const text = await (await fetch(`${bus.url}/metrics`)).text();
    // Those with labels show once there is something to count; the page of metrics is held against a node elsewhere.
    const listed = readFileSync(new URL("metrics.md", folder), "utf8").matchAll(/`(agentbus_\w+)`/g);
    const there = new Set([...text.matchAll(/^# TYPE (\w+) /gm), ...listed].map(([, name]) => name!));
    const { groups } = parse(RULES) as { groups: { rules: { alert: string; expr: string }[] }[] };
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length >= 5);
    for (const source of [...rules.map(({ expr }) => expr), PAGE]) {
      for (const [name] of source.matchAll(/\b(?:agentbus|nodejs)_\w+/g)) {
        assert.ok(there.has(name.replace(/_bucket$/, "")), name);
      }
    }
    const settings = readFileSync(new URL("configuration.md", folder), "utf8");
    for (const [, name] of PAGE.matchAll(/`((?:server|storage|agents|auth|channelDefaults)\.[\w.]+)`/g)) {
      assert.ok(settings.includes(`\`${name}\``) || settings.includes(`\`${name}.`), name);
    }
  });
});
