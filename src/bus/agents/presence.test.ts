import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, it } from "vitest";
import { createFakeClock } from "../../../test/support/fake-clock.ts";
import { type LogLine, recordingLogger } from "../../../test/support/registry-fixture.ts";
import type { AgentStream } from "../directory/registry.ts";
import { Presence } from "./presence.ts";
import type { PresenceRecord } from "./remote-presence.ts";

const LEASE = 15_000;

function open() {
  const clock = createFakeClock();
  const lines: LogLine[] = [];
  const states: string[] = [];
  const described: string[] = [];
  const elsewhere = new Map<string, PresenceRecord>();
  const presence: Presence = new Presence({
    clock,
    log: recordingLogger(lines),
    leaseMs: LEASE,
    storeNow: clock.now,
    elsewhere: (agentId) => elsewhere.get(agentId),
    onState: (agentId) => states.push(state(agentId)),
    onSubscriptions: (agentId) => described.push(agentId),
  });
  const state = (agentId: string) => presence.of(agentId)?.state ?? "OFFLINE";
  return {
    clock,
    lines,
    states,
    described,
    elsewhere,
    presence,
    state,
    logged: () => lines.map(({ level, fields, text }) => `${level} ${text} (${fields["cause"]})`),
  };
}

const noEnd = () => {};

describe("presence", () => {
  it("S1-7.2: the log says who came and who went, and why", () => {
    const { presence, logged, lines } = open();
    presence.openStream("alice", noEnd).close(true);
    assert.deepEqual(logged(), [
      "info Agent alice connected (stream opened)",
      "info Agent alice disconnected (stream closed)",
    ]);
    assert.equal(lines[0]?.fields["agentId"], "alice");
  });

  it("S3-US1.3: a stream that is cut leaves the agent present for one lease and no longer", () => {
    const { presence, clock, states, state, logged } = open();
    const stream = presence.openStream("alice", noEnd);
    clock.advance(10 * LEASE);
    assert.equal(state("alice"), "ONLINE", "no lease ends while a stream is open");
    stream.close(false);
    clock.advance(LEASE - 1);
    assert.equal(state("alice"), "ONLINE");
    clock.advance(1);
    assert.deepEqual([state("alice"), presence.online], ["OFFLINE", 0]);
    clock.advance(10 * LEASE);
    assert.deepEqual(states, ["ONLINE", "OFFLINE"], "told once");
    assert.match(logged().at(-1)!, /disconnected \(lease expired\)/);
    assert.equal(clock.pending, 0);
  });

  it("a stream that is being opened makes nobody present, and is ended like the others", () => {
    const { presence, states, state, clock } = open();
    presence.openStream("alice", noEnd, "when described").close(false);
    clock.advance(LEASE);
    let ended = 0;
    const opening = presence.openStream("alice", () => ended++, "when described");
    assert.deepEqual([states, presence.streams, clock.pending], [[], 0, 0]);
    assert.deepEqual([presence.disconnect("alice"), ended], [1, 1]);
    opening.describe(["science:*"]);
    assert.equal(state("alice"), "OFFLINE", "what was ended does not count any more");
    const other = presence.openStream("alice", noEnd, "when described");
    other.describe(["science:*"]);
    assert.deepEqual([state("alice"), presence.streams], ["ONLINE", 1]);
    other.close(true);
    assert.deepEqual([states, presence.streams], [["ONLINE", "OFFLINE"], 0]);
  });

  it("an agent that reconnects within the lease never went", () => {
    const { presence, clock, states } = open();
    presence.openStream("alice", noEnd).close(false);
    clock.advance(LEASE / 2);
    const again = presence.openStream("alice", noEnd);
    clock.advance(3 * LEASE);
    assert.deepEqual(states, ["ONLINE"]);
    again.close(false);
    again.close(true);
    clock.advance(LEASE);
    assert.deepEqual(states, ["ONLINE", "OFFLINE"]);
  });

  it("only the last stream of several counts", () => {
    const { presence, states, state } = open();
    const [a, b] = [presence.openStream("alice", noEnd), presence.openStream("alice", noEnd)];
    a.close(true);
    assert.equal(state("alice"), "ONLINE");
    b.close(true);
    assert.deepEqual([states, presence.streams], [["ONLINE", "OFFLINE"], 0]);
  });

  it("heartbeats hold an agent without streams, and carry its state", () => {
    const { presence, clock, states, state } = open();
    presence.heartbeat("alice", undefined);
    assert.equal(state("alice"), "ONLINE");
    for (let beat = 0; beat < 5; beat++) {
      clock.advance(LEASE - 1);
      presence.heartbeat("alice", beat === 0 ? "DRAINING" : undefined);
      assert.equal(state("alice"), "DRAINING");
    }
    presence.heartbeat("alice", "AWAY");
    clock.advance(LEASE);
    presence.heartbeat("alice", undefined);
    assert.equal(state("alice"), "ONLINE", "who comes back is no longer away");
    assert.deepEqual(states, ["ONLINE", "DRAINING", "AWAY", "OFFLINE", "ONLINE"]);
  });

  it("disconnect ends every stream, once, and the agent is offline before they hear of it", () => {
    const { presence, clock, states, state } = open();
    const heard: string[] = [];
    const streams: AgentStream[] = ["a", "b"].map((name) =>
      presence.openStream("alice", () => heard.push(`${name} ${state("alice")}`)),
    );
    presence.openStream("alice", () => {
      throw new Error("broken");
    });
    assert.equal(presence.disconnect("alice"), 3);
    assert.equal(presence.disconnect("alice"), 0);
    for (const stream of streams) stream.close(false);
    clock.advance(LEASE);
    assert.deepEqual(heard, ["a OFFLINE", "b OFFLINE"]);
    assert.deepEqual([states, presence.streams, presence.online], [["ONLINE", "OFFLINE"], 0, 0]);
  });

  it("who is on another node already goes on with the state that it told there, and since when it is here", () => {
    const { presence, clock, states, state, elsewhere } = open();
    const there: PresenceRecord = {
      state: "AWAY",
      statedAtMs: clock.now() + 5, // that node's clock is a little ahead
      connectedAtMs: clock.now() - 1_000,
      lastActivityAtMs: clock.now(),
      subscriptions: [],
    };
    elsewhere.set("alice", there);
    presence.openStream("alice", noEnd);
    assert.deepEqual([state("alice"), presence.of("alice")?.connectedAtMs], ["AWAY", there.connectedAtMs]);
    presence.heartbeat("alice", "ONLINE");
    assert.ok(presence.of("alice")!.statedAtMs > there.statedAtMs, "the newest word is behind the older one");
    presence.hear("alice", there);
    assert.equal(state("alice"), "ONLINE", "an old word changes nothing");
    presence.hear("alice", { ...there, state: "DRAINING", statedAtMs: there.statedAtMs + 100 });
    presence.hear("bob", there);
    assert.deepEqual([states, state("bob")], [["AWAY", "ONLINE", "DRAINING"], "OFFLINE"]);
  });

  it("shows what streams read, at most 100 of it", () => {
    const { presence, described } = open();
    const [a, b] = [presence.openStream("alice", noEnd), presence.openStream("alice", noEnd)];
    a.describe(["x:*", "y:z"]);
    b.describe(["y:z", ...Array.from({ length: 500 }, (_, i) => `r:c${i}`)]);
    assert.equal(presence.of("alice")!.subscriptions.length, 100);
    b.close(true);
    assert.deepEqual(presence.of("alice")!.subscriptions, ["x:*", "y:z"]);
    assert.deepEqual(described, ["alice", "alice", "alice"]);
  });

  it("agrees with a model whatever happens in which order: comes and goes alternate, counts hold, no timer is left", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom("open", "beat", "disconnect", "forget") }),
      fc.record({ do: fc.constantFrom("cut", "close"), which: fc.nat(3) }),
      fc.record({ do: fc.constant("wait"), ms: fc.constantFrom(1, LEASE / 2, LEASE) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { presence, clock, states, state } = open();
        let streams: AgentStream[] = [];
        let until = -1; // the model: present while a stream is open or the clock is before this
        for (const one of steps) {
          const now = () => clock.monotonic();
          if (one.do === "open") streams.push(presence.openStream("a", noEnd));
          if (one.do === "beat") until = Math.max(until, now() + LEASE);
          if (one.do === "beat") presence.heartbeat("a", undefined);
          if (one.do === "disconnect" || one.do === "forget") {
            presence[one.do]("a");
            streams = [];
            until = -1;
          }
          if ("which" in one && streams.length > 0) {
            const [stream] = streams.splice(one.which % streams.length, 1);
            stream!.close(one.do === "close");
            if (streams.length === 0) until = one.do === "close" ? -1 : now() + LEASE;
          }
          if ("ms" in one) clock.advance(one.ms);
          const present = streams.length > 0 || now() < until;
          assert.equal(state("a") === "ONLINE", present);
          assert.deepEqual([presence.online, presence.streams], [present ? 1 : 0, streams.length]);
        }
        assert.ok(states.every((state, at) => state === (at % 2 === 0 ? "ONLINE" : "OFFLINE")));
        for (const stream of streams) stream.close(true);
        clock.advance(LEASE);
        assert.equal(clock.pending, 0);
      }),
    );
  });
});
