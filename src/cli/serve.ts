import { isLoopbackAddress } from "../config/check-together.ts";
import { ConfigError } from "../config/config-error.ts";
import type { Config } from "../config/load-config.ts";
import { BusError } from "../core/errors.ts";
import { startNode } from "../node.ts";
import { bannerText } from "../server/banner.ts";

/** Runs a node until it is told to leave. Answers the exit code. */
export async function serve(config: Config): Promise<number> {
  const node = await startNode({ config });
  const { stderr } = process;
  stderr.write(
    bannerText({
      version: node.version,
      url: node.address.url,
      storage: config.storage.url,
      durable: node.storage.durable,
      keysRequired: config.auth.apiKeys.length > 0,
      public: !isLoopbackAddress(config.server.host),
      colours: stderr.isTTY === true,
    }),
  );
  let asked = 0;
  const leave = () => {
    // Asked twice, a person means at once.
    if (++asked > 1) process.exit(1);
    void node.drain();
  };
  process.on("SIGTERM", leave);
  process.on("SIGINT", leave);
  await node.left;
  return 0;
}

/** What a person reads when the node does not start. */
export function explainStartFailure(error: unknown): string {
  if (error instanceof ConfigError || error instanceof BusError) return error.message;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "EADDRINUSE") return `${(error as Error).message}\nAnother program has the port: give another with --port`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
