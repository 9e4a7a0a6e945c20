import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { describeAddress, parseRedisAddress } from "./redis-address.ts";

const PLAIN = { topology: "single", master: "", username: "", password: "", db: 0, tls: false };

describe("the redis URL", () => {
  it("names one server, with user, password, database and TLS", () => {
    const hosts = [{ host: "localhost", port: 6_379 }];
    assert.deepEqual(parseRedisAddress("redis://localhost"), { ...PLAIN, hosts });
    assert.deepEqual(parseRedisAddress("rediss://bus:p%40ss:word@localhost:7000/3"), {
      ...PLAIN,
      hosts: [{ host: "localhost", port: 7_000 }],
      username: "bus",
      password: "p@ss:word",
      db: 3,
      tls: true,
    });
    assert.equal(parseRedisAddress("redis://:secret@localhost").password, "secret");
    assert.deepEqual(parseRedisAddress("redis://[::1]:6380").hosts, [{ host: "::1", port: 6_380 }]);
  });

  it("names nodes of a cluster in two ways", () => {
    const hosts = [
      { host: "h1", port: 6_379 },
      { host: "h2", port: 7_001 },
    ];
    for (const url of ["redis://h1,h2:7001/?cluster=true", "redis+cluster://h1,h2:7001"]) {
      assert.deepEqual(parseRedisAddress(url), { ...PLAIN, topology: "cluster", hosts });
    }
  });

  it("names sentinels, the master and its database", () => {
    const address = parseRedisAddress("redis+sentinel://h1,h2:26380/my%2Fmaster/2");
    assert.deepEqual(address, {
      ...PLAIN,
      topology: "sentinel",
      hosts: [
        { host: "h1", port: 26_379 },
        { host: "h2", port: 26_380 },
      ],
      master: "my/master",
      db: 2,
    });
    assert.equal(describeAddress(address), "Redis master my/master of the sentinels at h1:26379,h2:26380");
  });

  it.each([
    ["redis:localhost", /scheme/],
    ["valkey://localhost", /scheme/],
    ["redis://", /host/],
    ["redis://h1,h2", /several hosts/],
    ["redis://h:0", /host/],
    ["redis://h/x", /database/],
    ["redis://h/0/1", /database/],
    ["redis+cluster://h/1", /database 0/],
    ["redis+sentinel://h", /master/],
    ["redis://h?tls=true", /cluster=true/],
    ["redis://a%:s3cret@h", /%25/],
  ])("refuses %s with what is meant", (url, text) => {
    const refused = (error: Error) => text.test(error.message) && !error.message.includes("s3cret");
    assert.throws(() => parseRedisAddress(url), refused);
  });
});
