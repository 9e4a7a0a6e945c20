import type { Command } from "commander";
import type { Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { repeated } from "../option-values.ts";
import { Terminal } from "../output/terminal.ts";

/** Makes a new API key, and the hash to configure for it. */
export type CreateApiKey = () => { readonly key: string; readonly sha256: string };

interface KeyFlags {
  readonly name: string;
  readonly agent?: string;
  readonly agents?: readonly string[];
  readonly admin?: true;
}

export function addKey(program: Command, { streams }: Surroundings, createApiKey: CreateApiKey): void {
  const key = program
    .command("key")
    .summary("make API keys")
    .description("API keys, with which clients show who they are.");
  key
    .command("create")
    .description(
      "Makes an API key and prints it, once, with what to add to the server's configuration. The configuration holds " +
        "only the key's hash: who reads it cannot call.",
    )
    .requiredOption("--name <name>", "what the key is called in logs")
    .addOption(repeated("--agents <id>", "an agent it may act for, or the beginning of ids followed by *"))
    .option("--admin", "it may drain the server and read metrics")
    .addHelpText(
      "after",
      examples(
        "agentbus key create --name alice --agents alice",
        "agentbus key create --name fleet --agents 'worker-*' --agents supervisor",
      ),
    )
    .action(async (_options: unknown, command: Command) => {
      const flags = command.optsWithGlobals<KeyFlags & { json: boolean }>();
      using resources = new DisposableStack();
      const terminal = resources.adopt(new Terminal(streams, flags.json), (it) => it.close());
      const { key, sha256 } = createApiKey();
      const { name, agents = [], admin = false } = flags;
      const entry = { name, sha256, agents, ...(admin ? { admin } : {}) };
      if (terminal.json) return terminal.printJson({ key, config: entry });
      if (agents.length === 0 && !admin) terminal.note("it may act for no agent: --agents names some", "warning");
      terminal.note("The key. It is not shown again; give it to the client, for example as AGENTBUS_API_KEY:");
      await terminal.print(key);
      terminal.note("\nAdd to the server's configuration:\n");
      const { stringify } = await import("yaml");
      terminal.note(stringify({ auth: { apiKeys: [entry] } }).trimEnd());
    });
}
