import { parseArgs } from "node:util";

// Ends as a program ends, so that a CPU profile that was asked for is written.
process.once("SIGTERM", () => process.exit(0));

/** The port to listen on, from `--port`, and whether to put all of a batch into one frame, from `--batch-frames`. */
export function readServerArguments(): { port: number; batchFrames: boolean } {
  const { values } = parseArgs({ options: { port: { type: "string" }, "batch-frames": { type: "boolean" } } });
  if (!values.port) throw new Error("--port is required");
  return { port: Number(values.port), batchFrames: values["batch-frames"] ?? false };
}
