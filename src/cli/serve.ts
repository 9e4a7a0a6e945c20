import { isLoopbackAddress } from "../config/check-together.ts";
import { withoutPassword } from "../config/describe-config.ts";
import type { Config } from "../config/load-config.ts";
import { type BusNode, startNode } from "../node.ts";
import { createLogger, type ProcessLogger } from "../observability/logger.ts";
import { bannerText } from "../server/banner.ts";
import { consoleToLogger } from "./console-to-logger.ts";

/** A node without streams has left by then. */
const HURRY_AFTER_MS = 500;

/** Runs a node until it is told to leave. Rejects, with something a person can act on, when it does not start. */
export async function serve(config: Config): Promise<void> {
  const logger = createLogger({ ...config.log, fields: { node: config.node.id } });
  // However the process ends, the last lines are what tells why.
  process.once("exit", () => logger.flush());
  // Never undone: calls that break while the node leaves are reported last of all.
  consoleToLogger(logger);
  // A bug must not let one call end the node for everybody.
  process.on("unhandledRejection", (error) =>
    logger.error({ error }, "a promise was rejected and nobody listened: a bug"),
  );
  let node: BusNode | undefined;
  let asked = 0;
  const waiting = new AbortController();
  const leave = () => {
    // Asked twice, a person means at once.
    if (++asked > 1) process.exit(1);
    waiting.abort();
    void node?.drain();
    sayHowToHurry(config);
  };
  // Before the start: whoever reads "listening" may tell it to leave in the same moment.
  process.on("SIGTERM", leave);
  process.on("SIGINT", leave);
  try {
    node = await start(config, logger, waiting.signal);
  } catch (error) {
    // A storage that is silent would hold the process for the time of one attempt.
    if (waiting.signal.aborted && error === waiting.signal.reason) process.exit(0);
    throw error;
  }
  if (asked > 0) void node.drain();
  writeBanner(config, node);
  await node.left;
  // What still waits for a storage that does not answer must not keep the process.
  process.exit(0);
}

/** For a person who waits for streams to end; a supervisor's log needs no advice. */
function sayHowToHurry({ server: { drainMs } }: Config): void {
  const { stderr } = process;
  if (stderr.isTTY !== true) return;
  const text = `Waiting up to ${Math.ceil(drainMs / 1_000)} s for calls to end. Ctrl-C again ends them at once.\n`;
  setTimeout(() => stderr.write(text), HURRY_AFTER_MS).unref();
}

async function start(config: Config, logger: ProcessLogger, signal: AbortSignal): Promise<BusNode> {
  try {
    return await startNode({ config, logger, signal });
  } catch (error) {
    throw explainStartFailure(error, config);
  }
}

/** The same failure in words that say what to do, where the system's own words do not. */
export function explainStartFailure(error: unknown, { server: { host, port } }: Config): unknown {
  const cause = { cause: error };
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case "EADDRINUSE":
      return new Error(`Port ${port} of ${host} is taken by another program. Give another with --port.`, cause);
    case "EACCES":
      return new Error(
        `This user may not listen on port ${port} of ${host}. Give a port above 1023 with --port.`,
        cause,
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new Error(`${host} is no address of this machine. Give another with --host.`, cause);
    default:
      return error;
  }
}

function writeBanner(config: Config, node: BusNode): void {
  const { stderr } = process;
  stderr.write(
    bannerText({
      version: node.version,
      url: node.address.url,
      storage: withoutPassword(config.storage.url),
      durable: node.storage.durable,
      keysRequired: config.auth.apiKeys.length > 0,
      public: !isLoopbackAddress(config.server.host),
      colours: stderr.isTTY === true && process.env["NO_COLOR"] === undefined,
    }),
  );
}
