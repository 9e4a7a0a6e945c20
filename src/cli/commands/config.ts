import type { Command } from "commander";
import type { Surroundings } from "../bus-command.ts";
import { addConfigOptions, type ConfigFlags, configOf } from "../config-options.ts";
import { examples } from "../examples.ts";
import { Terminal } from "../output/terminal.ts";

export function addConfig(program: Command, { streams }: Surroundings): void {
  const config = program
    .command("config")
    .summary("check and print a configuration")
    .description("The configuration that a node would run with: file, then AGENTBUS_ variables, then flags.");
  addConfigOptions(config.command("check"))
    .description("Checks the configuration without starting, and tells everything that is wrong with it.")
    .addHelpText("after", examples("agentbus config check --config agentbus.yaml"))
    .action((_options: unknown, command: Command) =>
      withTerminal(command, async (terminal, flags) => {
        await configOf(withoutJson(flags));
        if (terminal.json) await terminal.printJson({ valid: true });
        else await terminal.print("The configuration is good.");
      }),
    );
  addConfigOptions(config.command("print"))
    .description("Prints the configuration in force, with every default, without secrets.")
    .addHelpText("after", examples("agentbus config print", "agentbus config print --set limits.maxHops=8"))
    .action((_options: unknown, command: Command) =>
      withTerminal(command, async (terminal, flags) => {
        const { describeConfig } = await import("../../config/describe-config.ts");
        const text = describeConfig(await configOf(withoutJson(flags)));
        if (terminal.json) await terminal.printJson((await import("yaml")).parse(text));
        else await terminal.print(text.trimEnd());
      }),
    );

  async function withTerminal(
    command: Command,
    run: (terminal: Terminal, flags: ConfigFlags) => Promise<void>,
  ): Promise<void> {
    const flags = command.optsWithGlobals<ConfigFlags & { json: boolean }>();
    using resources = new DisposableStack();
    await run(
      resources.adopt(new Terminal(streams, flags.json), (it) => it.close()),
      flags,
    );
  }
}

/** Here --json is about what is printed, not about the node's log. */
function withoutJson({ json: _json, ...flags }: ConfigFlags): ConfigFlags {
  return flags;
}
