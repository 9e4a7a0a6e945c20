import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import type { Surroundings } from "./bus-command.ts";
import { addAgents } from "./commands/agents.ts";
import { addBench } from "./commands/bench.ts";
import { addChannels } from "./commands/channels.ts";
import { addConfig } from "./commands/config.ts";
import { addFetch } from "./commands/fetch.ts";
import { addKey, type CreateApiKey } from "./commands/key.ts";
import { addPing } from "./commands/ping.ts";
import { addPublish } from "./commands/publish.ts";
import { addRooms } from "./commands/rooms.ts";
import { addServe } from "./commands/serve.ts";
import { addStatus } from "./commands/status.ts";
import { addSubscribe } from "./commands/subscribe.ts";
import { examples } from "./examples.ts";
import { EXIT, type ExitCode } from "./exit-code.ts";
import { describeFailure } from "./failure.ts";
import { url } from "./option-values.ts";
import { Terminal } from "./output/terminal.ts";

export interface ProgramOptions extends Surroundings {
  readonly createApiKey: CreateApiKey;
}

const NOTES = `
Exit codes:
  0    done; also when a stream was ended with Ctrl-C
  1    the bus refused, does not answer, or something broke
  2    the command line or the configuration is wrong
  130  stopped before it was done

With --json, results are JSON on standard output, one value a line, and failures are {"error": {...}} on standard error.
Without it, and when standard output is not a terminal, tables are values separated by tabs.
`;

/** The `agentbus` program. Its commands throw; `runProgram` tells what went wrong. */
export function createProgram(options: ProgramOptions): Command {
  const program = new Command("agentbus")
    .description("The message bus for systems of agents.")
    .version(programVersion(), "-V, --version", "print the version")
    .addOption(
      new Option("--url <url>", "where the bus is").argParser(url).env("AGENTBUS_URL").default("http://127.0.0.1:7400"),
    )
    .addOption(new Option("--api-key <key>", "shows who calls; better kept in the variable").env("AGENTBUS_API_KEY"))
    .addOption(
      new Option("--agent <id>", "who acts; default: the API key's own agent, else the login name").env(
        "AGENTBUS_AGENT",
      ),
    )
    .option("--json", "print JSON, one value a line", false)
    .helpCommand("help [command]", "explain a command")
    .helpOption("-h, --help", "explain the command")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => options.streams.stdout.write(text),
      writeErr: (text) => options.streams.stderr.write(text),
      // Told by runProgram, as text or as JSON.
      outputError: () => {},
    })
    .exitOverride()
    .addHelpText(
      "after",
      examples(
        "agentbus serve",
        "agentbus subscribe science:explore",
        "agentbus publish science:explore hello",
        "agentbus publish --help",
      ) + NOTES,
    );
  addServe(program);
  addPublish(program, options);
  addSubscribe(program, options);
  addFetch(program, options);
  addRooms(program, options);
  addChannels(program, options);
  addAgents(program, options);
  addStatus(program, options);
  addPing(program, options);
  addBench(program, options);
  addConfig(program, options);
  addKey(program, options, options.createApiKey);
  return program;
}

/** Runs a command line, without the names of the runtime and the program, to its end. */
export async function runProgram(args: readonly string[], options: ProgramOptions): Promise<ExitCode> {
  const program = createProgram(options);
  try {
    await program.parseAsync(args, { from: "user" });
    return EXIT.OK;
  } catch (error) {
    // The line may be too wrong for its options to be known.
    using resources = new DisposableStack();
    const terminal = resources.adopt(new Terminal(options.streams, args.includes("--json")), (it) => it.close());
    const opts = program.opts<{ url?: string }>();
    const { exitCode, text, json } = describeFailure(error, opts.url);
    if (exitCode === EXIT.OK) return exitCode;
    terminal.fail(text, json);
    if (exitCode === EXIT.USAGE && text !== "" && !terminal.json) terminal.note("Try --help.");
    return exitCode;
  }
}

/** From package.json, which lies above the sources and above what was built from them. */
function programVersion(): string {
  const path = import.meta.url.endsWith(".ts") ? "../../package.json" : "../../../package.json";
  const text = readFileSync(new URL(path, import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
