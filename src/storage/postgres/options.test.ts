import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { resolvePostgresOptions } from "./options.ts";

const URL = "postgres://user:secret@db:5432/bus";

describe("options of the postgres storage", () => {
  it("fill in defaults", () => {
    assert.deepEqual(resolvePostgresOptions(URL, {}), {
      url: URL,
      listenUrl: URL,
      prefix: "agentbus",
      maxConnections: 8,
      connectTimeoutMs: 5_000,
      timeoutMs: 5_000,
      heartbeatMs: 5_000,
      maxPendingBytes: 67_108_864,
      maxRelayBytes: 33_554_432,
      dedupKeys: 16_000_000,
    });
  });

  it("are refused with every fault at once, and without the password", () => {
    const wrong = { prefix: 'x"; DROP', maxConnections: 0, listenUrl: "http://secret@db", surprise: 1 };
    assert.throws(
      () => resolvePostgresOptions("postgres://user:secret@db?sslmode=prefer", wrong),
      ({ message }: Error) => {
        for (const part of ["prefix", "maxConnections", "listenUrl", "surprise", "sslmode"]) {
          assert.ok(message.includes(part), `${part} in ${message}`);
        }
        return !message.includes("secret");
      },
    );
    for (const prefix of ["", "Upper", "pg_x", "1x", "x".repeat(41)]) {
      assert.throws(() => resolvePostgresOptions(URL, { prefix }), /prefix must be/);
    }
  });

  it("verify the server's certificate and name in every mode of TLS that verifies at all", () => {
    for (const mode of ["require", "verify-ca", "verify-full"]) {
      assert.match(resolvePostgresOptions(`${URL}?sslmode=${mode}&x=1`, {}).url, /\?sslmode=verify-full&x=1$/);
    }
    assert.match(resolvePostgresOptions(`${URL}?sslmode=no-verify`, {}).url, /sslmode=no-verify$/);
  });
});
