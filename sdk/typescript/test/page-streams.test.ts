import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createPageFetch } from "../src/page-streams.ts";

const STREAM = { method: "POST", headers: { "content-type": "application/connect+proto" } };
const ADDRESS = "http://bus.example/Subscribe";

/** A page whose fetch answers with bodies that the test writes to. */
function page() {
  const listeners = new Map<string, () => void>();
  const bodies: ReadableStreamDefaultController<Uint8Array>[] = [];
  const fetch = createPageFetch(
    { location: {}, addEventListener: (type, listener) => void listeners.set(type, listener) },
    async (_input, init) => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          bodies.push(controller);
          init?.signal?.addEventListener("abort", () => controller.error(init.signal!.reason));
        },
      });
      return new Response(body);
    },
  );
  return { fetch, bodies, tell: (type: "pagehide" | "pageshow") => listeners.get(type)!() };
}

const tooMany = /5 streams to http:\/\/bus\.example are open, and over http: .*https:/;

describe("streams of a page", () => {
  it("refuses the sixth over http:, and takes another one for each that ended, was cancelled, cut or given up", async () => {
    const { fetch, bodies } = page();
    const stop = new AbortController();
    const responses = await Promise.all(
      Array.from({ length: 5 }, (_, n) => fetch(ADDRESS, n === 0 ? { ...STREAM, signal: stop.signal } : STREAM)),
    );
    await assert.rejects(fetch(ADDRESS, STREAM), tooMany);
    stop.abort();
    await fetch(ADDRESS, STREAM);
    await assert.rejects(fetch(ADDRESS, STREAM), tooMany);
    bodies[1]!.close();
    assert.equal(await responses[1]!.text(), "");
    await fetch(ADDRESS, STREAM);
    await responses[2]!.body!.cancel();
    await fetch(ADDRESS, STREAM);
    bodies[3]!.error(new TypeError("network error"));
    await assert.rejects(responses[3]!.text(), /network error/);
    await fetch(ADDRESS, STREAM);
    await assert.rejects(fetch(ADDRESS, STREAM), tooMany);
  });

  it("refuses none over https:, and no call", async () => {
    const { fetch } = page();
    for (let n = 0; n < 20; n++) await fetch("https://bus.example/Subscribe", STREAM);
    for (let n = 0; n < 20; n++) await fetch(ADDRESS, { headers: { "content-type": "application/proto" } });
  });

  it("cuts them when the page is left, and opens no other until it is back", async () => {
    const { fetch, tell, bodies } = page();
    const response = await fetch(ADDRESS, STREAM);
    const call = await fetch(ADDRESS, { headers: { "content-type": "application/proto" } });
    tell("pagehide");
    await assert.rejects(response.text(), /the page was left/);
    const again = fetch(ADDRESS, STREAM);
    bodies[1]!.close();
    assert.equal(await call.text(), "", "a publish on its way is not cut");
    assert.equal(bodies.length, 2);
    tell("pageshow");
    assert.equal((await again).status, 200);
    assert.equal(bodies.length, 3);
  });

  it("is fetch itself where there is no page", () => {
    assert.equal(createPageFetch({}, globalThis.fetch), globalThis.fetch);
  });
});
