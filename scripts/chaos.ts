/**
 * Kills a bus under load, again and again, and judges what its clients saw:
 *
 *   npm run chaos -- --backend file --kills 200 --seed 1
 *
 * Ends with 1 and the broken promises when there are any; the history is then in test-results/chaos.jsonl.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { History } from "../test/support/history.ts";
import { runCampaign } from "./chaos/campaign.ts";
import { RESULTS } from "./root.ts";

const BACKENDS = ["file"];

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "file" },
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
if (!BACKENDS.includes(values.backend)) throw new Error(`--backend must be one of ${BACKENDS.join(", ")}`);
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) throw new Error("--kills and --seed are numbers");

const folder = mkdtempSync(join(tmpdir(), "agentbus-chaos-"));
const historyFile = join(RESULTS, "chaos.jsonl");
let history: History | undefined;
console.log(`chaos: ${kills} kills -9 on ${values.backend}, seed ${seed}`);
try {
  const report = await runCampaign({
    storage: `file:${join(folder, "data")}`,
    kills,
    seed,
    onKill: (done, acked) => {
      if (done % 10 === 0) console.log(`  ${done} kills, ${acked} messages acknowledged`);
    },
    onHistory: (recorded) => {
      history = recorded;
    },
  });
  console.table(report);
  console.log("no promise broken: lost 0, doubled 0, reordered 0, leaked 0");
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  if (history !== undefined) {
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(historyFile, history.toJsonLines());
    console.error(`the history is in ${historyFile}; run again with --seed ${seed}`);
  }
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
