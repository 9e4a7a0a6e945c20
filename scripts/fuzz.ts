/**
 * Throws random and nearly right bytes at a bus: raw TCP, HTTP/1.1, HTTP/2 frames, gRPC and Connect frames, JSON.
 *
 *   npm run fuzz -- --seconds 60 --seed 1
 *
 * Ends with 1 when the server goes down, stops answering, or answers anything with INTERNAL.
 */
import { parseArgs } from "node:util";
import { startBus } from "../test/support/bus-process.ts";
import { runFuzz } from "./fuzz/campaign.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed)) throw new Error("--seconds and --seed are numbers");

console.log(`fuzz: ${seconds} s, seed ${seed}`);
const bus = await startBus();
try {
  const until = performance.now() + seconds * 1_000;
  const { attacks, publishes, grownBytes } = await runFuzz({ bus, seed, goOn: () => performance.now() < until });
  console.table(attacks);
  const grown = grownBytes === undefined ? "" : `, resident memory ${Math.round(grownBytes / 1e6)} MB more than before`;
  console.log(`the server is up; ${publishes} publishes in between were answered${grown}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(`run again with --seed ${seed}`);
  process.exitCode = 1;
} finally {
  await bus.kill();
}
