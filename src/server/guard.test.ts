import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { createGuard, type GuardOptions } from "./guard.ts";
import { hostMatcher, parseAuthority } from "./host-names.ts";

const loopback: GuardOptions = { checkHost: true, allowedHosts: [], allowedOrigins: [] };
const kindOf = (options: Partial<GuardOptions>, headers: Record<string, string>) =>
  createGuard({ ...loopback, ...options }).check("POST", headers).kind;

describe("guard: Host", () => {
  it.each([
    "localhost",
    "localhost:7400",
    "LOCALHOST",
    "127.0.0.1:1",
    "127.9.9.9",
    "[::1]:7400",
    "bus.localhost",
    "localhost.",
  ])("lets %s through on loopback", (host) => assert.equal(kindOf({}, { host }), "allowed"));

  it.each([
    "evil.example",
    "evil.example:7400",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "notlocalhost",
    "",
    "::1",
    "a@localhost",
    "128.0.0.1",
    "0.0.0.0",
  ])("S1-6b: refuses %s, which a name server may have rebound to loopback", (host) => {
    assert.equal(kindOf({}, { host }), "refused");
    assert.equal(kindOf({}, { ":authority": host }), "refused");
  });

  it("refuses a request without Host, and one whose two names differ", () => {
    assert.equal(kindOf({}, {}), "refused");
    assert.equal(kindOf({}, { ":authority": "localhost", host: "evil.example" }), "refused");
    assert.equal(kindOf({}, { ":authority": "evil.example", host: "localhost" }), "refused");
    assert.equal(kindOf({}, { ":authority": "localhost", host: "127.0.0.1" }), "allowed");
  });

  it("lets through what is configured, with its port if one is named", () => {
    const allowedHosts = ["bus.example.com", "Other.example:8443", "[2001:db8::1]"];
    for (const host of [
      "bus.example.com",
      "bus.example.com:99",
      "BUS.example.com",
      "other.example:8443",
      "[2001:db8::1]:1",
    ]) {
      assert.equal(kindOf({ allowedHosts }, { host }), "allowed", host);
    }
    for (const host of ["other.example", "other.example:1", "x.bus.example.com"]) {
      assert.equal(kindOf({ allowedHosts }, { host }), "refused", host);
    }
    assert.equal(kindOf({ allowedHosts: ["*"] }, { host: "any.example" }), "allowed");
    assert.throws(() => hostMatcher(["https://bus.example.com"]), /must be a name or address/);
  });

  it("remembers the last good name, and no bad one", () => {
    const guard = createGuard(loopback);
    for (const [host, kind] of [
      ["localhost", "allowed"],
      ["evil.example", "refused"],
      ["localhost", "allowed"],
      ["evil.example", "refused"],
    ] as const) {
      assert.equal(guard.check("POST", { host }).kind, kind);
    }
  });

  it("asks nothing of Host where keys protect and no names are configured", () => {
    assert.equal(kindOf({ checkHost: false }, { host: "any.example" }), "allowed");
    assert.equal(kindOf({ checkHost: false }, {}), "allowed");
  });

  it("takes hosts apart", () => {
    assert.deepEqual(parseAuthority("[::1]:80"), { name: "::1", port: "80" });
    assert.deepEqual(parseAuthority("A.b"), { name: "a.b", port: "" });
    assert.equal(parseAuthority("a:b"), undefined);
  });
});

describe("guard: Origin", () => {
  const host = "localhost:7400";

  it.each([
    "https://evil.example",
    "http://localhost:3000",
    "null",
    "file://",
    "http://localhost:7400.evil.example",
    "https://localhost:7400@evil.example",
  ])("S1-6b: refuses %s by default", (origin) => assert.equal(kindOf({}, { host, origin }), "refused"));

  it("lets pages of the bus itself through, whose responses need nothing", () => {
    const verdict = createGuard(loopback).check("POST", { host, origin: "http://localhost:7400" });
    assert.deepEqual(verdict, { kind: "allowed", corsHeaders: undefined });
    assert.equal(kindOf({}, { host: "localhost", origin: "http://localhost" }), "allowed");
    assert.equal(kindOf({}, { host: "localhost:80", origin: "http://localhost" }), "allowed");
  });

  it("lets configured origins through, and tells their browsers", () => {
    const guard = createGuard({ ...loopback, allowedOrigins: ["https://console.example"] });
    const verdict = guard.check("POST", { host, origin: "https://console.example" });
    assert.ok(verdict.kind === "allowed");
    assert.equal(verdict.corsHeaders?.["access-control-allow-origin"], "https://console.example");
    assert.match(String(verdict.corsHeaders?.["access-control-expose-headers"]), /grpc-status/i);
    assert.equal(verdict.corsHeaders?.["vary"], "origin");
    assert.equal(guard.check("POST", { host, origin: "https://console.example.evil" }).kind, "refused");
    assert.equal(guard.check("POST", { host: "evil.example", origin: "https://console.example" }).kind, "refused");
    assert.equal(kindOf({ allowedOrigins: ["*"] }, { host, origin: "https://any.example" }), "allowed");
  });

  it("answers preflights itself, and passes other OPTIONS on", () => {
    const guard = createGuard({ ...loopback, allowedOrigins: ["https://console.example"] });
    const headers = { host, origin: "https://console.example" };
    assert.equal(guard.check("OPTIONS", { ...headers, "access-control-request-method": "POST" }).kind, "preflight");
    assert.equal(guard.check("OPTIONS", headers).kind, "allowed");
  });
});
