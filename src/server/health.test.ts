import assert from "node:assert/strict";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, it } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import { createFakeClock } from "../../test/support/fake-clock.ts";
import { waitUntil } from "../../test/support/wait.ts";
import { registerHealth } from "./health.ts";
import { createHealthState } from "./health-state.ts";

const SERVICE = "agentbus.v1.BusService";

function setUp(authorize?: (authorization: string | undefined) => void) {
  const clock = createFakeClock();
  const problems: string[] = [];
  const state = createHealthState({ services: [SERVICE], problems: () => problems, clock });
  const access = authorize === undefined ? {} : { authorize };
  const client = createClient(
    Health,
    createRouterTransport((router) => registerHealth(router, state, access)),
  );
  return { clock, problems, state, client };
}

const fails = (promise: Promise<unknown>) => promise.then(() => assert.fail("it was answered"), ConnectError.from);

describe("grpc.health.v1", () => {
  it("answers for the server and each service", async () => {
    const { state, client, problems } = setUp();
    assert.equal((await client.check({})).status, Status.NOT_SERVING);
    state.serving();
    assert.equal((await client.check({ service: SERVICE })).status, Status.SERVING);
    problems.push("storage is away");
    assert.equal((await client.check({})).status, Status.NOT_SERVING);
    const { statuses } = await client.list({});
    assert.deepEqual(Object.keys(statuses), ["", SERVICE]);
    const error = await fails(client.check({ service: "none" }));
    assert.equal(error.code, Code.NotFound);
    assert.match(error.rawMessage, /known: agentbus\.v1\.BusService/);
  });

  it("tells watchers each change, problems among them, and ends with the drain", async () => {
    const { state, client, problems, clock } = setUp();
    const statuses = client.watch({ service: SERVICE })[Symbol.asyncIterator]();
    const next = async () => (await statuses.next()).value?.status;
    assert.equal(await next(), Status.NOT_SERVING);
    state.serving();
    assert.equal(await next(), Status.SERVING);
    let change = next();
    await waitUntil(() => clock.pending === 1);
    problems.push("storage is away");
    clock.advance(1_000);
    assert.equal(await change, Status.NOT_SERVING);
    change = next();
    await waitUntil(() => clock.pending === 1);
    problems.pop();
    clock.advance(1_000);
    assert.equal(await change, Status.SERVING);
    state.draining();
    assert.equal(await next(), Status.NOT_SERVING);
    assert.equal((await fails(next())).code, Code.Unavailable);
    assert.equal(clock.pending, 0);
  });

  it("keeps who watches an unknown service waiting, and forgets who leaves", async () => {
    const { client, clock } = setUp();
    const abort = new AbortController();
    const statuses = client.watch({ service: "none" }, { signal: abort.signal })[Symbol.asyncIterator]();
    assert.equal((await statuses.next()).value?.status, Status.SERVICE_UNKNOWN);
    const waiting = statuses.next();
    await waitUntil(() => clock.pending === 1);
    abort.abort();
    assert.equal((await fails(waiting)).code, Code.Canceled);
    await waitUntil(() => clock.pending === 0);
  });

  it("S1-6b: asks for a key where it is told to", async () => {
    const { client } = setUp((authorization) => {
      if (authorization !== "Bearer k") throw new ConnectError("no key", Code.Unauthenticated);
    });
    assert.equal((await fails(client.check({}))).code, Code.Unauthenticated);
    assert.equal((await fails(client.list({}))).code, Code.Unauthenticated);
    assert.equal((await fails(client.watch({})[Symbol.asyncIterator]().next())).code, Code.Unauthenticated);
    assert.equal((await client.check({}, { headers: { authorization: "Bearer k" } })).status, Status.NOT_SERVING);
  });

  it("never serves again once it drains", () => {
    const { state } = setUp();
    let told = 0;
    const stop = state.onChange(() => void told++);
    state.draining();
    state.serving();
    stop();
    stop();
    assert.deepEqual([state.phase, told], ["draining", 1]);
  });
});
