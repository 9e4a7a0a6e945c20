import { Command } from "commander";
import { loadConfig } from "../config/load-config.ts";

/** The `agentbus` program. */
export function createProgram(): Command {
  const program = new Command("agentbus").description("The message bus for systems of agents.");
  program
    .command("serve")
    .description("run a node")
    .option("-c, --config <file>", "configuration file, YAML or JSON")
    .option("--host <address>", "address to listen on (127.0.0.1)")
    .option("-p, --port <number>", "port to listen on (7400)")
    .option("-s, --storage <url>", "where messages are kept: memory:, file:./data (memory:)")
    .option("--set <path=value...>", "any setting, for example limits.maxHops=8")
    .action(async (options: { config?: string; host?: string; port?: string; storage?: string; set?: string[] }) => {
      const { serve, explainStartFailure } = await import("./serve.ts");
      try {
        const assignments = [
          ...(options.host === undefined ? [] : [`server.host=${options.host}`]),
          ...(options.port === undefined ? [] : [`server.port=${options.port}`]),
          ...(options.storage === undefined ? [] : [`storage.url=${options.storage}`]),
          ...(options.set ?? []),
        ];
        const file = options.config === undefined ? {} : { file: options.config };
        process.exitCode = await serve(loadConfig({ ...file, env: process.env, assignments }));
      } catch (error) {
        process.stderr.write(`agentbus: ${explainStartFailure(error)}\n`);
        process.exitCode = 1;
      }
    });
  return program;
}
