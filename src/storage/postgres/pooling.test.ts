import assert from "node:assert/strict";
import pg from "pg";
import { describe, it } from "vitest";
import { type InspectedClient, inspectPooling, type PoolMode, queryFault } from "./pooling.ts";

interface Session {
  readonly pid: number;
  readonly prepared: Set<string>;
}

function refusal(code: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError("refused", 0, "error"), { code });
}

/** What a pooler does with its clients, as far as it can be seen from outside. The session given back last is lent first. */
class Pooler {
  readonly #mode: PoolMode;
  readonly #keepsPrepared: boolean;
  readonly #idle: Session[] = [];
  #sessions = 0;
  ended = 0;

  constructor(mode: PoolMode, keepsPrepared = true) {
    this.#mode = mode;
    this.#keepsPrepared = keepsPrepared;
  }

  readonly open = async (): Promise<InspectedClient> => {
    const own = this.#lend();
    const isPooled = this.#mode === "transaction" || this.#mode === "statement";
    if (isPooled) this.#idle.push(own);
    const sent = new Set<string>();
    let held: Session | undefined;
    const query = async ({ name, text }: { name?: string; text: string }) => {
      if (this.#mode === "statement" && text === "BEGIN") throw refusal("08P01");
      const session = isPooled ? (held ?? this.#lend()) : own;
      held = text === "BEGIN" || (held !== undefined && text !== "ROLLBACK") ? session : undefined;
      if (isPooled && held === undefined) this.#idle.push(session);
      if (name !== undefined && !this.#keepsPrepared) {
        if (sent.has(name) && !session.prepared.has(name)) throw refusal("26000");
        if (!sent.has(name) && session.prepared.has(name)) throw refusal("42P05");
        session.prepared.add(name);
      }
      if (name !== undefined) sent.add(name);
      return { rows: [{ pid: session.pid }] };
    };
    return {
      processID: this.#mode === "direct" ? own.pid : -7,
      query: ((asked: string | { text: string }) =>
        query(typeof asked === "string" ? { text: asked } : asked)) as InspectedClient["query"],
      end: (async () => {
        this.ended++;
      }) as InspectedClient["end"],
    };
  };

  #lend(): Session {
    return this.#idle.pop() ?? { pid: ++this.#sessions, prepared: new Set() };
  }
}

describe("what a URL of PostgreSQL leads to", () => {
  for (const [mode, keepsPrepared] of [
    ["direct", true],
    ["session", true],
    ["transaction", true],
    ["transaction", false],
    ["statement", false],
  ] as const) {
    it(`${mode}, with ${keepsPrepared ? "" : "no "}prepared statements`, async () => {
      const pooler = new Pooler(mode, keepsPrepared);
      assert.deepEqual(await inspectPooling(pooler.open), { mode, keepsPrepared });
      assert.equal(pooler.ended, mode === "direct" ? 1 : 2, "connections are given back");
    });
  }

  it("a failure that says nothing of a pooler is thrown, and the connections are given back", async () => {
    const pooler = new Pooler("session");
    const open = async () => {
      const client = await pooler.open();
      return { ...client, query: (async () => Promise.reject(refusal("53300"))) as InspectedClient["query"] };
    };
    await assert.rejects(inspectPooling(open), { code: "53300" });
    assert.equal(pooler.ended, 1);
  });

  it("what cannot be worked through is refused with what to do", () => {
    assert.equal(queryFault({ mode: "session", keepsPrepared: true }), undefined);
    assert.equal(queryFault({ mode: "transaction", keepsPrepared: true }), undefined);
    assert.match(queryFault({ mode: "statement", keepsPrepared: false })!, /statement mode.*pool_mode to session/);
    const lost = queryFault({ mode: "transaction", keepsPrepared: false })!;
    assert.match(lost, /prepared statements.*pool_mode to session.*max_prepared_statements/);
  });
});
