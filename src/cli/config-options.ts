import { type Command, Option } from "commander";
import type { Config } from "../config/load-config.ts";
import { repeated } from "./option-values.ts";

export interface ConfigFlags {
  readonly config?: string;
  readonly host?: string;
  readonly port?: string;
  readonly storage?: string;
  readonly nodeId?: string;
  readonly unsafePublic?: true;
  readonly set?: readonly string[];
  /** The global option: here, log lines for programs. */
  readonly json?: boolean;
}

/** Where a node's configuration comes from. */
export function addConfigOptions(command: Command): Command {
  return command
    .addOption(new Option("-c, --config <file>", "configuration file, YAML or JSON"))
    .option("--host <address>", "address to listen on; default: 127.0.0.1")
    .option("-p, --port <number>", "port to listen on; default: 7400; 0 takes a free one")
    .option(
      "-s, --storage <url>",
      "where messages are kept: memory:, file:./data, redis://…, postgres://… or mysql://…; default: memory:",
    )
    .option("--node-id <id>", "what this node is called, unique among nodes that share a storage")
    .option("--unsafe-public", "listen beyond loopback without API keys: whoever reaches the port may act for anybody")
    .addOption(repeated("--set <key=value>", "any setting, for example limits.maxHops=8"));
}

/** File < environment < flags. Rejects with ConfigError, with all faults at once. */
export async function configOf(flags: ConfigFlags): Promise<Config> {
  // Loaded here, so that the other commands start without the schema.
  const { loadConfig } = await import("../config/load-config.ts");
  const { config: file, host, port, storage, nodeId, unsafePublic, set = [], json } = flags;
  const shorthands = [
    ["server.host", host],
    ["server.port", port],
    ["storage.url", storage],
    ["node.id", nodeId],
    ["server.unsafePublic", unsafePublic],
    ["log.format", json === true ? "json" : undefined],
  ] as const;
  const assignments = shorthands.flatMap(([key, value]) => (value === undefined ? [] : [`${key}=${value}`]));
  return loadConfig({
    ...(file === undefined ? {} : { file }),
    env: process.env,
    assignments: [...assignments, ...set],
  });
}
