import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { History } from "../../test/support/history.ts";
import { RESULTS } from "../root.ts";
import { runCampaign } from "./campaign.ts";

/** One node on file storage, killed so often with SIGKILL. Answers the exit code. */
export async function runKills(kills: number, seed: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "agentbus-chaos-"));
  const historyFile = join(RESULTS, "chaos.jsonl");
  let history: History | undefined;
  console.log(`chaos: ${kills} kills -9 on file, seed ${seed}`);
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
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    if (history !== undefined) {
      mkdirSync(RESULTS, { recursive: true });
      writeFileSync(historyFile, history.toJsonLines());
      console.error(`the history is in ${historyFile}; run again with --seed ${seed}`);
    }
    return 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
