import { userInfo } from "node:os";
import type { Agent, AgentBus } from "agentbus/node";
import type { Command } from "commander";
import { Interrupted } from "./exit-code.ts";
import { showProgress } from "./output/progress.ts";
import { type Streams, Terminal } from "./output/terminal.ts";

/** What surrounds a command: the process, or a test. */
export interface Surroundings {
  readonly streams: Streams;
  /** Aborts when the command is to stop. Unset: on SIGINT and SIGTERM. */
  readonly signal?: AbortSignal;
}

/** The options that every command takes. */
export interface GlobalOptions {
  readonly url: string;
  readonly apiKey?: string;
  readonly agent?: string;
  readonly json: boolean;
}

/** What a command that talks to a bus works with. */
export interface BusContext {
  readonly bus: AgentBus;
  readonly terminal: Terminal;
  readonly streams: Streams;
  /** Aborts, with an Interrupted, when the command is to stop, and when the reader of its results has left. */
  readonly signal: AbortSignal;
  /** True: --agent named who acts. */
  readonly agentGiven: boolean;
  /** True: an API key says for whom the command may act. */
  readonly hasKey: boolean;
  /** Who acts: --agent, else the API key's own agent, else a name made of the login. */
  agent(): Agent;
}

/**
 * Makes a commander action of a function that talks to the bus. The bus is reached before it runs and closed behind it.
 * `check` runs before: what is wrong with the command line is told whether there is a bus or not.
 */
export function onBus<A extends readonly unknown[], O>(
  surroundings: Surroundings,
  run: (context: BusContext, args: A, options: O & GlobalOptions) => Promise<void>,
  check: (args: A, options: O) => void = () => {},
): (...parameters: unknown[]) => Promise<void> {
  return async (...parameters) => {
    const command = parameters.at(-1) as Command;
    const options = command.optsWithGlobals<O & GlobalOptions>();
    const args = command.processedArgs as unknown as A;
    check(args, options);
    const { streams } = surroundings;
    using resources = new DisposableStack();
    const terminal = resources.adopt(new Terminal(streams, options.json), (it) => it.close());
    const stop = surroundings.signal ?? resources.use(stopSignals()).signal;
    const signal = AbortSignal.any([stop, terminal.readerLeft]);
    try {
      await using bus = await reach(options, terminal, signal);
      const agentId = options.agent ?? (options.apiKey === undefined ? loginAgentId() : "");
      await run(
        {
          bus,
          terminal,
          streams,
          signal,
          agentGiven: options.agent !== undefined,
          hasKey: options.apiKey !== undefined,
          agent: () => bus.agent(agentId),
        },
        args,
        options,
      );
    } catch (error) {
      if (terminal.readerLeft.aborted) return;
      if (stop.aborted) throw new Interrupted();
      throw error;
    }
  };
}

async function reach(options: GlobalOptions, terminal: Terminal, signal: AbortSignal): Promise<AgentBus> {
  // Loaded here, so that commands without a bus start without it.
  const { AgentBus } = await import("agentbus/node");
  const { url, apiKey } = options;
  const bus = new AgentBus({
    url,
    ...(apiKey === undefined ? {} : { apiKey }),
    onWarning: (text) => terminal.note(text, "warning"),
  });
  try {
    using _progress = showProgress(terminal, () => `connecting to ${url}`);
    await bus.ping({ signal });
    return bus;
  } catch (error) {
    await bus.close();
    throw error;
  }
}

/** Aborts on the first SIGINT or SIGTERM; the second ends the process at once. */
function stopSignals(): Disposable & { readonly signal: AbortSignal } {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort(new Interrupted());
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    },
  };
}

/** Who a person is when nothing says so. */
export function loginAgentId(): string {
  let login = "";
  try {
    login = userInfo().username;
  } catch {
    // A user without a name, as containers have them.
  }
  const id = login
    .replace(/[^A-Za-z0-9._@|:/+-]/g, "-")
    .replace(/^_+/, "")
    .slice(0, 128);
  return id === "" ? "cli" : id;
}
