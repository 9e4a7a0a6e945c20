import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { type BusProcess, startBus } from "../support/bus-process.ts";
import { type ExampleProgram, hasPython, startExample } from "./example-program.ts";

const python = await hasPython();

describe("examples", () => {
  let bus: BusProcess;
  beforeAll(async () => {
    bus = await startBus();
  });
  afterAll(() => bus.stop());

  async function endsWell(...programs: readonly ExampleProgram[]): Promise<void> {
    for (const program of programs) assert.deepEqual(await program.exited, { code: 0, signal: null, stderr: "" });
  }

  it.skipIf(!python)(
    "S3-SC-010: chatroom: a person and two agents in two languages hold one conversation",
    async () => {
      const explorer = await startExample("chatroom/explorer.ts", bus.url);
      const skeptic = await startExample("chatroom/skeptic.py", bus.url);
      const alice = await startExample("chatroom/person.ts", bus.url, "alice");
      const bob = await startExample("chatroom/person.ts", bus.url, "bob");
      await Promise.all([
        explorer.line(/listens/),
        skeptic.line(/listens/),
        alice.line(/You are/),
        bob.line(/You are/),
      ]);

      alice.write("hello everybody\nwhy is the sky blue?\n");
      await Promise.all([alice.line(/^skeptic: How would/), bob.line(/^skeptic: How would/)]);
      bob.write("what is time?\n");
      await Promise.all([alice.line(/"time"/), bob.line(/"time"/)]);

      assert.deepEqual(
        bob.lines.slice(1, 5).map((line) => line.split(":")[0]),
        ["alice", "alice", "explorer", "skeptic"],
      );
      assert.ok(alice.lines.includes("bob: what is time?"));
      assert.equal(alice.lines.filter((line) => line.startsWith("alice:")).length, 0);
      assert.ok(!bob.lines.some((line) => /explorer: .*hello/.test(line)), "what is no question gets no hypothesis");

      for (const person of [alice, bob]) person.endInput();
      for (const agent of [explorer, skeptic]) agent.kill("SIGINT");
      await endsWell(alice, bob, explorer, skeptic);
    },
  );

  it.skipIf(!python)("supervisor: questions go to one capable agent each, in two languages", async () => {
    const workers = await Promise.all([
      startExample("supervisor/geographer.ts", bus.url, "geographer-1"),
      startExample("supervisor/geographer.ts", bus.url, "geographer-2"),
      startExample("supervisor/calculator.py", bus.url),
    ]);
    await Promise.all(workers.map((worker) => worker.line(/waits for questions/)));
    const supervisor = await startExample("supervisor/supervisor.ts", bus.url);
    await endsWell(supervisor);
    const [france, sum, japan, rain] = supervisor.lines;
    assert.equal(sum, "12 * (3 + 4): 84 (calculator)");
    assert.equal(rain, "will it rain on Tuesday: nobody here knows astrology");
    const names = [france, japan].map((line) => /\((geographer-\d)\)$/.exec(line ?? "")?.[1]);
    assert.deepEqual(names.sort(), ["geographer-1", "geographer-2"], "each in its turn");
    assert.match(String(france), /^capital of France: Paris/);
    assert.match(String(japan), /^capital of Japan: Tokyo/);
    for (const worker of workers) worker.kill();
    await endsWell(...workers);
  });

  it("effect-once: an order that is sent twice, and a cashier that is killed, book each order once", async () => {
    const folder = mkdtempSync(join(tmpdir(), "agentbus-example-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "ledger.db");
    const orders = 20;
    const [first, again] = [await shop(orders), await shop(orders)];
    assert.ok(first.lines.every((line) => line.endsWith("stored")));
    assert.ok(again.lines.every((line) => line.endsWith("was there already")));

    for (const last of [5, 12]) {
      const cashier = await startExample("effect-once/cashier.ts", bus.url, file);
      await cashier.line(new RegExp(`^booked order-${last}$`));
      cashier.kill("SIGKILL");
      await cashier.exited;
      await shop(orders);
    }
    const cashier = await startExample("effect-once/cashier.ts", bus.url, file);
    await shop(orders + 1);
    await cashier.line(new RegExp(`^booked order-${orders + 1}$`));
    cashier.kill("SIGINT");
    const { code } = await cashier.exited;
    assert.equal(code, 0);

    using ledger = new DatabaseSync(file);
    const { count, total } = ledger.prepare("SELECT count(*) AS count, sum(cents) AS total FROM booking").get() as {
      count: number;
      total: number;
    };
    assert.equal(count, orders + 1);
    assert.equal(total, (100 * ((orders + 1) * (orders + 2))) / 2);
  });

  async function shop(orders: number): Promise<ExampleProgram> {
    const program = await startExample("effect-once/shop.ts", bus.url, String(orders));
    await endsWell(program);
    return program;
  }
});
