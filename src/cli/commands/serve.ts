import type { Command } from "commander";
import { addConfigOptions, type ConfigFlags, configOf } from "../config-options.ts";
import { examples } from "../examples.ts";

export function addServe(program: Command): void {
  addConfigOptions(program.command("serve"))
    .summary("run a node")
    .description(
      "Runs a node of the bus until SIGTERM or Ctrl-C, then lets calls finish (server.drain); a second signal ends it at " +
        "once. Every setting is in docs/configuration.md; --json logs JSON on a terminal, too.",
    )
    .addHelpText(
      "after",
      examples(
        "agentbus serve",
        "agentbus serve --storage file:./data --port 7500",
        "agentbus serve --config agentbus.yaml --set limits.maxHops=8",
      ),
    )
    .action(async (_options: unknown, command: Command) => {
      const config = await configOf(command.optsWithGlobals<ConfigFlags>());
      // Loaded here, so that the other commands start without the server.
      const { serve } = await import("../serve.ts");
      await serve(config);
    });
}
