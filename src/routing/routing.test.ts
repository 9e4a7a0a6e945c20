import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AgentKind, type AgentProfile, EMPTY_PROFILE } from "../core/agent.ts";
import { DEFAULT_BUS_OPTIONS } from "../core/bus-options.ts";
import type { Reason } from "../core/errors.ts";
import type { Draft, Recipients, Selection } from "../core/message.ts";
import { channelName } from "../core/names.ts";
import type { RoutingConfig } from "../core/room.ts";
import { decideAudience } from "./audience.ts";
import { RoutingRegistry } from "./routing-registry.ts";
import type { Candidates, RoutingContext } from "./routing-strategy.ts";
import { Turns } from "./turns.ts";

interface Known extends Partial<AgentProfile> {
  readonly online?: boolean;
}

function candidates(agents: Readonly<Record<string, Known>>): Candidates {
  const profile = (id: string) => (Object.hasOwn(agents, id) ? { ...EMPTY_PROFILE, ...agents[id] } : undefined);
  const where = (test: (profile: AgentProfile) => boolean) =>
    Object.keys(agents)
      .filter((id) => test(profile(id)!))
      .sort();
  return {
    exists: (id) => Object.hasOwn(agents, id),
    profile,
    inGroup: (group) => where((agent) => agent.groups.includes(group)),
    fitting: ({ kinds, labels, capabilities }) =>
      where(
        (agent) =>
          (kinds.length === 0 || kinds.includes(agent.kind)) &&
          Object.entries(labels).every(([key, value]) => agent.labels[key] === value) &&
          capabilities.every((name) => agent.capabilities.some((own) => own.name === name)),
      ),
    isAvailable: (id) => agents[id]?.online === true,
  };
}

const able = (...names: string[]) => names.map((name) => ({ name, description: "", inputSchema: "" }));
const select = (part: Partial<Selection>): Selection => ({
  kinds: [],
  labels: {},
  capabilities: [],
  limit: 0,
  ...part,
});
const to = (part: Partial<Recipients>): Recipients => ({ agents: [], groups: [], select: undefined, ...part });
const routing = (part: Partial<RoutingConfig>): RoutingConfig => ({
  ...DEFAULT_BUS_OPTIONS.channelDefaults.routing,
  ...part,
});
const draft = (part: Partial<Draft> = {}): Draft => ({
  bytes: new Uint8Array(),
  id: "",
  type: "MESSAGE",
  hasType: false,
  name: "",
  to: undefined,
  idempotencyKey: "",
  causation: "",
  timeToLiveMs: 0,
  contentDigest: 0,
  ...part,
});

const AGENTS = {
  alice: { kind: "HUMAN", online: true, groups: ["people"] },
  bob: { kind: "AI_AGENT", online: true, groups: ["team"], capabilities: able("translate"), labels: { tier: "1" } },
  carol: { kind: "AI_AGENT", groups: ["team"], capabilities: able("translate", "sum"), labels: { tier: "1" } },
  dave: { kind: "AI_AGENT", online: true, capabilities: able("sum"), labels: { tier: "2" } },
} as const;

function context(part: Partial<RoutingContext> & { routing: RoutingConfig }): RoutingContext {
  const agents = part.agents ?? candidates(AGENTS);
  return {
    sender: "alice",
    channel: channelName("room", "work"),
    members: new Set(Object.keys(AGENTS)),
    maxAudience: 1_000,
    ...part,
    agents,
  };
}

/** One channel: decides for draft after draft, as the bus does. */
function channel(config: Partial<RoutingConfig>, part: Partial<RoutingContext> = {}, registry = new RoutingRegistry()) {
  const strategy = registry.create(routing(config));
  const turns = new Turns();
  return (message: Partial<Draft> = {}, now: Partial<RoutingContext> = {}) =>
    decideAudience(draft(message), context({ ...part, ...now, routing: routing(config) }), strategy, turns);
}

const refuses = (reason: Reason, run: () => unknown, text: RegExp = /./) => {
  expect(run).toThrow(expect.objectContaining({ reason, message: expect.stringMatching(text) }));
};

describe("strategies", () => {
  it("S0-2.1.3a S1-4.2a: BROADCAST is open to every reader", () => {
    assert.equal(channel({ strategy: "BROADCAST" })(), null);
  });

  it("S0-2.1.3b S1-4.2b: SUBGROUP is the union of agents, groups and selection as they are now", () => {
    const recipients = to({ agents: ["alice"], groups: ["team"], select: select({ labels: { tier: "2" } }) });
    assert.deepEqual(channel({ strategy: "SUBGROUP", recipients })(), ["alice", "bob", "carol", "dave"]);
  });

  it("SUBGROUP passes over configured agents that are gone, and refuses when nobody is left", () => {
    const route = channel({ strategy: "SUBGROUP", recipients: to({ agents: ["zoe", "bob"], groups: ["nobody"] }) });
    assert.deepEqual(route(), ["bob"]);
    refuses("NO_CANDIDATE", channel({ strategy: "SUBGROUP", recipients: to({ agents: ["zoe"] }) }));
  });

  it("S0-2.1.3c S1-4.2c: INDIVIDUAL is exactly one: the first that is available, else the first", () => {
    const recipients = to({ groups: ["team"] });
    assert.deepEqual(channel({ strategy: "INDIVIDUAL", recipients })(), ["bob"]);
    assert.deepEqual(channel({ strategy: "INDIVIDUAL", recipients })({}, { sender: "bob" }), ["carol"]);
    const named = channel({ strategy: "INDIVIDUAL" });
    assert.deepEqual(named({ to: to({ agents: ["dave"] }) }), ["dave"]);
    refuses("RECIPIENT_REQUIRED", () => named());
    refuses("RECIPIENT_REQUIRED", () => named({ to: to({ groups: ["team"] }) }), /names 2/);
  });

  it("CAPABILITY is the members that can do it, or the message's name as the capability", () => {
    assert.deepEqual(channel({ strategy: "CAPABILITY", capabilities: ["translate"] })(), ["bob", "carol"]);
    const byName = channel({ strategy: "CAPABILITY" });
    assert.deepEqual(byName({ name: "sum" }), ["carol", "dave"]);
    assert.deepEqual(byName({ name: "sum" }, { members: new Set(["carol"]) }), ["carol"]);
    assert.deepEqual(byName({ name: "sum" }, { sender: "dave" }), ["carol"]);
    refuses("NO_CANDIDATE", () => byName({ name: "fly" }), /"fly"/);
    refuses("NO_CANDIDATE", () => byName(), /set the message's name/);
  });

  it("CAPABILITY with a limit takes the available ones in turn, then the others", () => {
    const route = channel({ strategy: "CAPABILITY", capabilities: ["sum"], limit: 1 });
    assert.deepEqual([route(), route()], [["dave"], ["dave"]], "carol is offline");
  });

  it("ROUND_ROBIN takes one online member after the other, never the sender", () => {
    const route = channel({ strategy: "ROUND_ROBIN" });
    assert.deepEqual([route(), route(), route(), route()], [["bob"], ["dave"], ["bob"], ["dave"]]);
    refuses("NO_CANDIDATE", () => route({}, { members: new Set(["alice", "carol"]) }));
  });

  it("ROUND_ROBIN goes on behind the last one when members come and go", () => {
    const route = channel({ strategy: "ROUND_ROBIN" }, { sender: "x" });
    assert.deepEqual(route(), ["alice"]);
    assert.deepEqual(route({}, { members: new Set(["bob", "dave"]) }), ["bob"]);
    assert.deepEqual(route({}, { members: new Set(["alice", "dave"]) }), ["dave"]);
  });

  it("refuses configuration that could never route", () => {
    const create = (config: Partial<RoutingConfig>) => () => new RoutingRegistry().create(routing(config));
    refuses("INVALID_FIELD", create({ strategy: "SUBGROUP" }));
    refuses("INVALID_FIELD", create({ strategy: "INDIVIDUAL", allowSenderRecipients: false }));
    refuses("EMPTY_RECIPIENTS", create({ strategy: "SUBGROUP", recipients: to({}) }));
    refuses("EMPTY_RECIPIENTS", create({ strategy: "INDIVIDUAL", recipients: to({ select: select({ limit: 1 }) }) }));
  });

  it("S0-3.2.1 S1-4.2d: a registered strategy is found by its name, an unknown one is refused", () => {
    const registry = new RoutingRegistry().register("last-word", () => ({
      route: (_draft, { members }) => [[...members].sort().at(-1)!],
    }));
    assert.deepEqual(channel({ strategy: "CUSTOM", custom: "last-word" }, {}, registry)(), ["dave"]);
    assert.ok(registry.names.includes("last-word") && registry.names.includes("ROUND_ROBIN"));
    refuses("UNKNOWN_STRATEGY", () => registry.create(routing({ strategy: "CUSTOM", custom: "nope" })), /"last-word"/);
    assert.throws(() => registry.register("two words", () => ({ route: () => null })), TypeError);
  });

  it("what a registered strategy answers is sorted, made unique and checked", () => {
    const answers = (audience: readonly string[]) =>
      channel(
        { strategy: "CUSTOM", custom: "x" },
        {},
        new RoutingRegistry().register("x", () => ({ route: () => audience })),
      );
    assert.deepEqual(answers(["dave", "bob", "dave"])(), ["bob", "dave"]);
    refuses("UNKNOWN_RECIPIENT", answers(["zoe"]), /"zoe"/);
    refuses("NO_CANDIDATE", answers([]));
  });
});

describe("the sender's own recipients", () => {
  it("S0-2.1.3d S0-2.1.3e: win over the channel's strategy where it allows them", () => {
    assert.deepEqual(channel({ strategy: "BROADCAST" })({ to: to({ agents: ["bob"] }) }), ["bob"]);
    const deaf = channel({ strategy: "BROADCAST", allowSenderRecipients: false });
    refuses("RECIPIENTS_NOT_ALLOWED", () => deaf({ to: to({ agents: ["bob"] }) }));
    assert.equal(deaf(), null);
  });

  it("that do not exist are refused by name, and nobody gets the message", () => {
    const route = channel({});
    refuses("UNKNOWN_RECIPIENT", () => route({ to: to({ agents: ["bob", "zoe"] }) }), /"zoe"/);
    refuses("UNKNOWN_RECIPIENT", () => route({ to: to({ agents: ["bob"], groups: ["elves"] }) }), /"elves"/);
    refuses(
      "NO_CANDIDATE",
      () => route({ to: to({ agents: ["bob"], select: select({ capabilities: ["fly"] }) }) }),
      /"fly"/,
    );
  });

  it("that are set but empty are refused, never widened to everyone", () => {
    refuses("EMPTY_RECIPIENTS", () => channel({})({ to: to({}) }));
    refuses("EMPTY_RECIPIENTS", () => channel({})({ to: to({ select: select({}) }) }));
    refuses("EMPTY_RECIPIENTS", () => channel({})({ to: to({ agents: ["bob"], select: select({ limit: 3 }) }) }));
  });

  it("all parts of a selection must hold, and it never takes the sender", () => {
    const route = channel({}, { sender: "bob" });
    const chosen = (part: Partial<Selection>) => route({ to: to({ select: select(part) }) });
    assert.deepEqual(chosen({ kinds: ["AI_AGENT"] }), ["carol", "dave"]);
    assert.deepEqual(chosen({ kinds: ["AI_AGENT"], labels: { tier: "1" }, capabilities: ["sum"] }), ["carol"]);
  });

  it("selections with a limit take turns of their own, those online first", () => {
    const route = channel({});
    const one = (...capabilities: string[]) => route({ to: to({ select: select({ capabilities, limit: 1 }) }) });
    const agents = candidates({ ...AGENTS, carol: { ...AGENTS.carol, online: true } });
    const awake = channel({}, { agents });
    const turn = (name: string) => awake({ to: to({ select: select({ capabilities: [name], limit: 1 }) }) })![0];
    assert.deepEqual([one("translate"), one("translate")], [["bob"], ["bob"]], "carol is offline");
    // Taken alternately, each selection still goes round all of its own.
    assert.deepEqual(
      [turn("translate"), turn("sum"), turn("translate"), turn("sum")],
      ["bob", "carol", "carol", "dave"],
    );
  });

  it("beyond limits.audience are TOO_MANY", () => {
    refuses("TOO_MANY", () => channel({}, { maxAudience: 1 })({ to: to({ groups: ["team"] }) }), /limits\.audience/);
  });
});

describe("every audience", () => {
  const ids = ["a", "b", "c", "d", "e", "f"];
  const kinds: AgentKind[] = ["HUMAN", "AI_AGENT", "SERVICE"];
  const someOf = (values: readonly string[]) => fc.subarray([...values], { minLength: 0 });
  const known = fc.dictionary(
    fc.constantFrom(...ids),
    fc.record({
      online: fc.boolean(),
      kind: fc.constantFrom(...kinds),
      groups: someOf(["g", "h"]),
      labels: fc.constantFrom<Record<string, string>[]>({}, { t: "1" }, { t: "2" }),
      capabilities: someOf(["x", "y"]).map((names) => able(...names)),
    }),
  );
  const selection = fc.record({
    kinds: fc.subarray(kinds),
    labels: fc.constantFrom<Record<string, string>[]>({}, { t: "1" }),
    capabilities: someOf(["x", "y"]),
    limit: fc.nat(3),
  });
  const recipients = fc.record({
    agents: someOf(ids),
    groups: someOf(["g", "h"]),
    select: fc.option(selection, { nil: undefined }),
  });
  const config = fc.record({
    strategy: fc.constantFrom("BROADCAST", "SUBGROUP", "INDIVIDUAL", "CAPABILITY", "ROUND_ROBIN") as fc.Arbitrary<
      Exclude<RoutingConfig["strategy"], "CUSTOM">
    >,
    allowSenderRecipients: fc.boolean(),
    recipients: fc.option(recipients, { nil: undefined }),
    capabilities: someOf(["x", "y"]),
    limit: fc.nat(3),
  });

  const outcome = <T>(run: () => T): T | Reason => {
    try {
      return run();
    } catch (error) {
      return (error as { reason?: Reason }).reason ?? assert.fail(String(error));
    }
  };

  it("S0-2.1.3: is null only when open, else agents that exist, sorted, without doubles, at least one", () => {
    fc.assert(
      fc.property(
        known,
        config,
        fc.option(recipients, { nil: undefined }),
        fc.constantFrom(...ids),
        (agents, cfg, named, sender) => {
          const audience = outcome(() =>
            channel(cfg, { agents: candidates(agents), members: new Set(Object.keys(agents)), sender })({
              name: "x",
              to: named,
            }),
          );
          if (typeof audience === "string") return;
          if (audience === null) {
            assert.ok(cfg.strategy === "BROADCAST" && named === undefined, "a private message was opened");
            return;
          }
          assert.ok(audience.length > 0);
          assert.deepEqual(audience, [...new Set(audience)].sort());
          assert.ok(audience.every((id) => Object.hasOwn(agents, id)));
          if (cfg.strategy === "INDIVIDUAL") assert.equal(audience.length, 1);
          if (named !== undefined && named.select === undefined) {
            const allowed = (id: string) =>
              named.agents.includes(id) || agents[id]!.groups.some((group) => named.groups.includes(group));
            assert.ok(audience.every(allowed), "wider than what the sender named");
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("of BROADCAST, SUBGROUP, INDIVIDUAL and CAPABILITY without a limit depends on nothing but the input", () => {
    fc.assert(
      fc.property(known, config, (agents, cfg) => {
        fc.pre(cfg.strategy !== "ROUND_ROBIN");
        const pure = { ...cfg, limit: 0, recipients: cfg.recipients && { ...cfg.recipients, select: undefined } };
        const once = () => channel(pure, { agents: candidates(agents) })({ name: "x" });
        const both = outcome(() => {
          const route = channel(pure, { agents: candidates(agents) });
          return [route({ name: "x" }), route({ name: "x" })];
        });
        const first = outcome(once);
        assert.deepEqual(both, typeof first === "string" ? first : [first, first]);
      }),
    );
  });

  it("of ROUND_ROBIN is fair: over n rounds each online member has n turns", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[a-z]{1,4}$/), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        (members, rounds) => {
          const agents = candidates(Object.fromEntries(members.map((id) => [id, { online: true }])));
          const route = channel({ strategy: "ROUND_ROBIN" }, { agents, members: new Set(members), sender: "-" });
          const turns = new Map<string, number>();
          for (let i = 0; i < members.length * rounds; i++) {
            const [id] = route()!;
            turns.set(id!, (turns.get(id!) ?? 0) + 1);
          }
          assert.deepEqual(
            [...turns.values()],
            members.map(() => rounds),
          );
        },
      ),
    );
  });
});
