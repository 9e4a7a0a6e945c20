import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { resolveMysqlOptions } from "./options.ts";

const URL = "mysql://bus:p%40ss@db.example.org/agents";

describe("options of the mysql storage", () => {
  it("come with defaults", () => {
    const { address, tls, prefix, poolSize, timeoutMs } = resolveMysqlOptions(URL, {});
    assert.deepEqual(address, {
      host: "db.example.org",
      port: 3306,
      user: "bus",
      password: "p@ss",
      database: "agents",
    });
    assert.deepEqual([tls, prefix, poolSize, timeoutMs], [undefined, "agentbus", 8, 5_000]);
    assert.equal(resolveMysqlOptions("mariadb://bus@[::1]:3307/agents", {}).address.host, "::1");
  });

  it("verify the server unless told otherwise", () => {
    const modes = (mode: string) => {
      const tls = resolveMysqlOptions(`${URL}?ssl-mode=${mode}`, {}).tls;
      return tls && [tls.rejectUnauthorized, tls.verifyIdentity];
    };
    assert.equal(modes("DISABLED"), undefined);
    assert.deepEqual(modes("REQUIRED"), [false, false]);
    assert.deepEqual(modes("VERIFY_CA"), [true, false]);
    assert.deepEqual(modes("verify-identity"), [true, true]);
    const { tls } = resolveMysqlOptions(URL, { tlsCaFile: import.meta.filename });
    assert.deepEqual([tls?.rejectUnauthorized, tls?.verifyIdentity], [true, true]);
  });

  it("are refused all at once, without the password", () => {
    assert.throws(
      () =>
        resolveMysqlOptions("mysql://:secret@host?charset=latin1", {
          prefix: "No-Such",
          poolSize: 0,
          tlsMode: "maybe",
          tlsKeyFile: "/no/such.key",
          colour: 1,
        }),
      ({ message }: Error) => {
        for (const part of ["charset", "no user", "database", "prefix", "poolSize", "tlsMode", "such.key", "colour"]) {
          assert.ok(message.includes(part), `${part} in ${message}`);
        }
        return !message.includes("secret");
      },
    );
    assert.throws(() => resolveMysqlOptions("mysql://a:%zz@host/db", {}), /password has a %/);
    assert.throws(() => resolveMysqlOptions("mysql:host", {}), /mysql/);
  });
});
