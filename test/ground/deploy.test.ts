import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { Command } from "commander";
import { describe, it } from "vitest";
import { parse } from "yaml";
import { builtInStorages } from "../../src/built-in-storages.ts";
import { addConfigOptions, type ConfigFlags } from "../../src/cli/config-options.ts";
import { loadConfig } from "../../src/config/load-config.ts";

interface Service {
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly healthcheck?: unknown;
  readonly ports?: readonly string[];
}

const folder = new URL("../../deploy/", import.meta.url);
const files = readdirSync(folder).filter((name) => name.startsWith("compose."));

describe("compose files", () => {
  it("are there for each storage that nodes share", () => {
    assert.deepEqual(files.sort(), ["compose.mysql.yaml", "compose.postgres.yaml", "compose.redis.yaml"]);
  });

  it.for(files)("S0-3.1.4: %s starts two nodes with flags and settings that are there", (name) => {
    const { services } = parse(readFileSync(new URL(name, folder), "utf8"), { merge: true }) as {
      services: Record<string, Service>;
    };
    const nodes = Object.values(services).filter((service) => service.command?.[0] === "serve");
    assert.equal(nodes.length, 2);
    const ids = new Set<string>();
    for (const { command, environment, depends_on, ports } of nodes) {
      const flags = addConfigOptions(new Command().exitOverride())
        .parse([...command!.slice(1)], { from: "user" })
        .opts<ConfigFlags>();
      const assignments = [`node.id=${flags.nodeId}`, `server.host=${flags.host}`, "server.unsafePublic=true"];
      assert.equal(flags.unsafePublic, true);
      const config = loadConfig({ env: environment ?? {}, assignments });
      assert.ok(builtInStorages().isRemote(config.storage.url), config.storage.url);
      const host = new URL(config.storage.url).hostname;
      assert.ok(services[host]?.healthcheck, `${host} is a service that says when it is ready`);
      assert.deepEqual(Object.keys(depends_on!), [host]);
      assert.match(ports![0]!, /^127\.0\.0\.1:/);
      ids.add(config.node.id);
    }
    assert.equal(ids.size, 2);
  });
});
