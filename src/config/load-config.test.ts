import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, it } from "vitest";
import { DEFAULT_BUS_OPTIONS } from "../core/bus-options.ts";
import { busOptions, storageSettings } from "./bus-settings.ts";
import { ConfigError, type ConfigFault } from "./config-error.ts";
import { describeConfig } from "./describe-config.ts";
import { parseYaml, type Tree } from "./layers.ts";
import { type ConfigInputs, loadConfig } from "./load-config.ts";

const HASH = "ab".repeat(32);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "agentbus-config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function faultsOf(inputs: ConfigInputs): readonly ConfigFault[] {
  try {
    loadConfig(inputs);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return assert.fail("the configuration was accepted");
}

function faultAt(inputs: ConfigInputs, path: string): ConfigFault {
  const fault = faultsOf(inputs).find((one) => one.path === path);
  return fault ?? assert.fail(`no fault at ${path}`);
}

describe("loadConfig", () => {
  it("needs nothing, and then listens on loopback and gives the bus its defaults", () => {
    const config = loadConfig();
    assert.equal(config.server.host, "127.0.0.1");
    assert.equal(config.server.port, 7400);
    assert.equal(config.storage.url, "memory:");
    assert.deepEqual(busOptions(config, false), DEFAULT_BUS_OPTIONS);
    assert.equal(busOptions(config, true).channelDefaults.durability, "STORED");
  });

  it("lets the environment win over the file, and flags over both, key by key", () => {
    const yaml = file("layers.yaml", "server:\n  port: 1\n  drain: 1s\n  maxConnections: 7\nnode: {id: from-file}\n");
    const config = loadConfig({
      file: yaml,
      env: { AGENTBUS_SERVER__PORT: "2", AGENTBUS_SERVER__DRAIN: "2s", PATH: "/bin" },
      overrides: { server: { port: 3 } },
      assignments: ["limits.messageBytes=64KiB", "node.name=N"],
    });
    assert.equal(config.server.port, 3);
    assert.equal(config.server.drainMs, 2_000);
    assert.equal(config.server.maxConnections, 7);
    assert.equal(config.node.id, "from-file");
    assert.equal(config.node.name, "N");
    assert.equal(config.limits.messageBytes, 65_536);
  });

  it("reads JSON files, too", () => {
    assert.equal(loadConfig({ file: file("a.json", '{"server": {"port": 5}}') }).server.port, 5);
  });

  it("reads numbers, booleans, lists and maps of the environment as their keys want them", () => {
    const config = loadConfig({
      env: {
        AGENTBUS_STORAGE__MEMORY__RING_SIZE: "50",
        AGENTBUS_AUTO_CREATE_ROOMS: "false",
        AGENTBUS_HEARTBEAT: "2000",
        AGENTBUS_SERVER__ALLOWED_ORIGINS: "https://a.example, https://B.example:8443",
        AGENTBUS_AUTH__API_KEYS: `[{"name": "ci", "sha256": "${HASH.toUpperCase()}", "agents": ["ci-*"]}]`,
        AGENTBUS_NODE__ID: "0123",
      },
    });
    assert.equal(config.storage.memory.ringSize, 50);
    assert.equal(config.autoCreateRooms, false);
    assert.equal(config.heartbeatMs, 2_000);
    assert.deepEqual(config.server.allowedOrigins, ["https://a.example", "https://b.example:8443"]);
    assert.deepEqual(config.auth.apiKeys, [{ name: "ci", sha256: HASH, agents: ["ci-*"], admin: false }]);
    assert.equal(config.node.id, "0123");
  });

  it("ignores variables of other programs, and refuses a misspelt section", () => {
    const kubernetes = {
      AGENTBUS_PORT: "tcp://10.0.0.1:7400",
      AGENTBUS_SERVICE_HOST: "10.0.0.1",
      AGENTBUS_TEST_REQUIRE: "1",
    };
    assert.deepEqual(loadConfig({ env: kubernetes }), loadConfig());
    const [fault] = faultsOf({ env: { AGENTBUS_SEVER__PORT: "1" } });
    assert.match(fault?.message ?? "", /unknown key "sever"; known here: server, node/);
  });

  it("tells all faults at once, each with its key, its source and what is right", () => {
    const yaml = file(
      "bad.yaml",
      "server: {drain: soon, hots: x}\nlimits: {messageBytes: 5MiB, rooms: -1}\nlog: {level: loud}\n",
    );
    const inputs: ConfigInputs = {
      file: yaml,
      env: { AGENTBUS_SERVER__PORT: "70000" },
      overrides: { node: { id: "a b" } },
    };
    const found = Object.fromEntries(
      faultsOf(inputs).map(({ path, source, message }) => [path, `${source}: ${message}`]),
    );
    assert.equal(found["server.drain"], `${yaml}: must be a duration like "15s", "2m" or "500ms", got "soon"`);
    assert.match(found["server"] ?? "", /unknown key "hots"; known here: host, port/);
    assert.equal(found["limits.messageBytes"], `${yaml}: must be from 1KiB to 4MiB, got "5MiB"`);
    assert.equal(found["limits.rooms"], `${yaml}: must be at least 1, got -1`);
    assert.equal(found["log.level"], `${yaml}: must be one of debug, info, warn, error, got "loud"`);
    assert.equal(found["server.port"], "AGENTBUS_SERVER__PORT: must be at most 65535, got 70000");
    assert.match(found["node.id"] ?? "", /^flags: must be 1 to 128 of/);
    assert.equal(Object.keys(found).length, 7);
  });

  it("tells where YAML is broken, and which file is not there", () => {
    assert.match(faultsOf({ file: file("broken.yaml", "server: {port: 1\nnode: [") })[0]?.message ?? "", /line 2/);
    assert.match(faultsOf({ file: join(folder, "none.yaml") })[0]?.message ?? "", /cannot be read: ENOENT/);
    assert.match(faultsOf({ file: file("list.yaml", "- a") })[0]?.message ?? "", /map of sections/);
    assert.match(faultsOf({ assignments: ["server.port"] })[0]?.message ?? "", /must be like server\.port=7401/);
  });

  it("takes a key called __proto__ for what it is: unknown", () => {
    const [fault] = faultsOf({
      env: { AGENTBUS___PROTO____PORT: "1" },
      overrides: JSON.parse('{"__proto__": {"a": 1}}') as Tree,
    });
    assert.match(fault?.message ?? "", /unknown key/);
    assert.equal(({} as Record<string, unknown>)["a"], undefined);
  });
});

describe("values that must fit each other", () => {
  it.each(["0.0.0.0", "::", "192.168.1.4", "bus.example.com"])(
    "S1-6b: %s is refused without keys and without the flag",
    (host) => {
      const message = faultAt({ overrides: { server: { host } } }, "server.host").message;
      assert.match(message, /auth\.apiKeys.*server\.unsafePublic/);
      assert.equal(loadConfig({ overrides: { server: { host, unsafePublic: true } } }).server.host, host);
      const keys = { apiKeys: [{ name: "a", sha256: HASH }] };
      assert.equal(loadConfig({ overrides: { server: { host }, auth: keys } }).agents.implicit, false);
    },
  );

  it.each(["127.0.0.1", "127.1.2.3", "::1", "localhost"])("%s needs neither", (host) => {
    assert.equal(loadConfig({ overrides: { server: { host } } }).server.host, host);
  });

  it("finds doubles, limits that contradict each other, and TLS without its authority", () => {
    const room = { room: "lab", channels: [{ channel: "a" }, { channel: "a" }] };
    const key = { name: "a", sha256: HASH };
    const paths = faultsOf({
      overrides: {
        rooms: [room, room],
        auth: { apiKeys: [key, key] },
        limits: { requestBytes: "512KiB", tailBytes: "1GiB", agents: 5 },
        server: { tls: { cert: "c", key: "k", requestClientCert: true } },
      },
    }).map(({ path }) => path);
    assert.deepEqual(paths.sort(), [
      "auth.apiKeys[1].name",
      "auth.apiKeys[1].sha256",
      "limits.implicitAgents",
      "limits.requestBytes",
      "limits.totalTailBytes",
      "rooms[0].channels[1].channel",
      "rooms[1].channels[1].channel",
      "rooms[1].room",
      "server.tls.requestClientCert",
    ]);
  });

  it("refuses a CUSTOM strategy without its name", () => {
    faultAt({ overrides: { channelDefaults: { routing: { strategy: "CUSTOM" } } } }, "channelDefaults.routing.custom");
    faultAt(
      { overrides: { channelDefaults: { routing: { strategy: "SUBGROUP" } } } },
      "channelDefaults.routing.recipients",
    );
  });
});

describe("rooms and storage", () => {
  it("declares rooms and channels, and leaves unset what is unset", () => {
    const rooms = loadConfig({
      overrides: {
        rooms: [{ room: "lab.science", channels: [{ channel: "explore", config: { retention: { maxAge: "1h" } } }] }],
      },
    }).rooms;
    assert.deepEqual(rooms, [
      {
        room: "lab.science",
        description: "",
        metadata: {},
        defaults: {},
        channels: [
          { channel: "explore", description: "", metadata: {}, config: { retention: { maxAgeMs: 3_600_000 } } },
        ],
      },
    ]);
  });

  it("gives a shared storage what all have and what is its own, under the prefix of its URL", () => {
    const of = (url: string, storage: object = {}) =>
      storageSettings(loadConfig({ overrides: { storage: { url, ...storage } } }));
    const common = { prefix: "agentbus", connectTimeoutMs: 5_000, timeoutMs: 5_000, maxPendingBytes: 67_108_864 };
    assert.deepEqual(of("redis://h:1/0"), {
      url: "redis://h:1/0",
      options: { ...common, dedupKeys: 1_000_000, maxRelayBytes: 33_554_432, heartbeatMs: 1_000, ioredis: {} },
    });
    assert.deepEqual(of("postgresql://u:p@h/d?sslmode=verify-full&prefix=blue"), {
      url: "postgresql://u:p@h/d?sslmode=verify-full",
      options: {
        ...common,
        ...{ prefix: "blue", maxConnections: 8, heartbeatMs: 5_000, dedupKeys: 16_000_000, maxRelayBytes: 33_554_432 },
      },
    });
    assert.deepEqual(of("mariadb://u@h/d?prefix=blue", { mysql: { tlsMode: "required" }, shared: { timeout: "1s" } }), {
      url: "mariadb://u@h/d",
      options: {
        ...common,
        ...{ prefix: "blue", timeoutMs: 1_000, poolSize: 8, tlsMode: "required" },
        ...{ dedupKeys: 1_000_000, maxWaiting: 10_000, pollMs: 4 },
      },
    });
    const dedupKeys = 5_000;
    for (const kind of ["redis", "postgres", "mysql"]) {
      const { options } = of(`${kind}://u@h/1`, { [kind]: { dedupKeys } });
      assert.equal((options as { dedupKeys: number }).dedupKeys, dedupKeys);
    }
    assert.throws(() => of("redis://h:1/0?prefix=Blue"), /prefix must be 1 to 32 of a-z 0-9 _/);
  });

  it("gives each storage its own options", () => {
    const of = (url: string) =>
      storageSettings(loadConfig({ overrides: { storage: { url, options: { a: 1 } } } })).options;
    assert.deepEqual(of("memory:"), { ringSize: 10_000, maxBytes: 536_870_912, dedupKeys: 1_000_000 });
    assert.deepEqual(of("file:./data"), { maxBytes: 68_719_476_736, dedupKeys: 1_000_000 });
    assert.deepEqual(of("tape://x"), { a: 1 });
  });
});

describe("describeConfig", () => {
  it("prints what loads again to the same configuration", () => {
    const config = loadConfig({
      overrides: {
        server: { drain: "90s", tls: { cert: "c.pem", key: "k.pem" } },
        rooms: [{ room: "lab", defaults: { dedupWindow: "1m" }, channels: [{ channel: "a" }] }],
        storage: { options: { timeoutMs: 5, maxBytes: 1024 } },
      },
    });
    const again = loadConfig({ overrides: parseYaml(describeConfig(config), "print") as Tree });
    assert.deepEqual(again, config);
  });

  it("shows no secrets", () => {
    const text = describeConfig(
      loadConfig({
        overrides: {
          auth: { apiKeys: [{ name: "ci", sha256: HASH }] },
          storage: {
            url: "redis://bus:hunter2@db:6379/0",
            options: { password: "hunter2", nested: { apiToken: "hunter2" } },
          },
        },
      }),
    );
    assert.doesNotMatch(text, /hunter2|abab/);
    assert.match(text, /name: ci/);
    assert.match(text, /redis:\/\/bus:<redacted>@db:6379\/0/);
  });

  it("does not repeat a key's hash in a fault, for it may be the key itself", () => {
    const fault = faultAt(
      { overrides: { auth: { apiKeys: [{ name: "ci", sha256: "the-key-itself" }] } } },
      "auth.apiKeys[0].sha256",
    );
    assert.doesNotMatch(fault.message, /the-key-itself/);
  });
});
