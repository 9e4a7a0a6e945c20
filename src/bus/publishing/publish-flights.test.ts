import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { settle } from "../../../test/support/registry-fixture.ts";
import { BusError } from "../../core/errors.ts";
import { channelName } from "../../core/names.ts";
import type { ChannelView } from "../directory/registry.ts";
import { PublishFlights } from "./publish-flights.ts";

/** Two views of one channel, before and after a change, and one of another channel. */
const viewOf = (channel: string) => ({ name: channelName("science", channel) }) as ChannelView;
const [before, after, elsewhere] = [viewOf("explore"), viewOf("explore"), viewOf("other")];

/** Batches that are routed again: each is done when the test says so. */
function course() {
  const done: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const task = (name: string) => async () => {
    done.push(name);
    const gate = Promise.withResolvers<void>();
    gates.set(name, gate);
    await gate.promise;
    return name;
  };
  return { done, gates, task };
}

describe("batches in flight", () => {
  it("hold back those of another view, and no others", () => {
    const flights = new PublishFlights();
    assert.equal(flights.isBehind(before), false);
    const flight = flights.depart(before);
    assert.deepEqual(
      [before, after, elsewhere].map((view) => flights.isBehind(view)),
      [false, true, false],
    );
    flights.arrive(flight);
    assert.equal(flights.isBehind(after), false);
  });

  it("hold back everything of their channel once one of them is routed again", async () => {
    const flights = new PublishFlights();
    const { gates, task } = course();
    const flight = flights.depart(before);
    const rerouted = flights.reroute(flight, task("a"));
    assert.deepEqual(
      [before, after, elsewhere].map((view) => flights.isBehind(view)),
      [true, true, false],
    );
    await settle();
    gates.get("a")!.resolve();
    await rerouted;
    flights.arrive(flight);
    assert.equal(flights.isBehind(before), false);
  });

  it("are routed again one after another, and those behind go when all are through, in their order", async () => {
    const flights = new PublishFlights();
    const { done, gates, task } = course();
    const [first, second] = [flights.depart(before), flights.depart(before)];
    const land = (name: string, flight: typeof first) =>
      flights.reroute(flight, task(name)).finally(() => flights.arrive(flight));
    const rerouted = [land("a", first), land("b", second)];
    const behind = ["c", "d"].map((name) => flights.follow(after, () => void done.push(name)));
    await settle();
    assert.deepEqual(done, ["a"]);
    gates.get("a")!.resolve();
    await settle();
    assert.deepEqual(done, ["a", "b"]);
    gates.get("b")!.resolve();
    assert.deepEqual(await Promise.all(rerouted), ["a", "b"]);
    await Promise.all(behind);
    assert.deepEqual(done, ["a", "b", "c", "d"]);
  });

  it("that are to be sent again fail all behind them: neither is stored before it", async () => {
    const flights = new PublishFlights();
    const { done, task } = course();
    const [first, second] = [flights.depart(before), flights.depart(before)];
    const away = new BusError("STORAGE_UNAVAILABLE", "away");
    const land = (flight: typeof first, again: () => Promise<string>) =>
      flights.reroute(flight, again).finally(() => flights.arrive(flight));
    const results = [
      land(first, () => Promise.reject(away)),
      land(second, task("b")),
      flights.follow(after, () => void done.push("c")),
    ];
    for (const result of results) await assert.rejects(result, (error) => error === away);
    assert.deepEqual(done, []);
    assert.equal(flights.isBehind(after), false, "who comes now is not behind anything");
  });

  it("that are refused for good fail nobody else", async () => {
    const flights = new PublishFlights();
    const flight = flights.depart(before);
    const conflict = new BusError("IDEMPOTENCY_CONFLICT", "used for other content");
    const refused = flights.reroute(flight, () => Promise.reject(conflict)).finally(() => flights.arrive(flight));
    const behind = flights.follow(after, () => "stored");
    await assert.rejects(refused, (error) => error === conflict);
    assert.equal(await behind, "stored");
  });

  it("one behind that fails at once is told so, and those behind it go on", async () => {
    const flights = new PublishFlights();
    const flight = flights.depart(before);
    const failure = new BusError("UNKNOWN_RECIPIENT", "nobody");
    const refused = flights.follow(after, () => {
      throw failure;
    });
    const behind = flights.follow(after, () => "stored");
    flights.arrive(flight);
    await assert.rejects(refused, (error) => error === failure);
    assert.equal(await behind, "stored");
  });
});
