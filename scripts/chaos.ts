/**
 * Breaks a bus under load, and judges what its clients saw:
 *
 *   npm run chaos -- --backend redis --nodes 3 --minutes 20 --seed 1
 *   npm run chaos -- --backend postgres --nodes 2 --minutes 5 --durability STORED --faults backend-kill,node-freeze
 *   npm run chaos -- --backend file --kills 200 --seed 1      one node, kill -9 without pause, nothing else
 *
 * CI runs `node scripts/chaos.ts --backend file --minutes 1` and, for redis, postgres and mysql,
 * `node scripts/chaos.ts --backend redis --minutes 1 --nodes 2`. The Python SDK's environment and the built TypeScript SDK
 * must be there.
 *
 *   --backend     memory, file, redis, postgres or mysql. The server is the run's own, started from the machine's programs.
 *   --nodes       1 for memory and file; default 2 for the others
 *   --minutes     how long faults are made; default 1
 *   --seed        decides the faults, their targets and times, and what is published; default: by the clock
 *   --durability  SYNCED (default), or STORED: Redis with `appendfsync everysec`, PostgreSQL with `synchronous_commit=off`,
 *                 MariaDB with `innodb_flush_log_at_trx_commit=2`
 *   --faults      a list of those in scripts/chaos/fault-kinds.ts; default: all that can be made
 *   --rate        messages a second; default 150
 *   --json        the report as JSON on standard output; progress goes to standard error
 *
 * Ends with 1 and the broken promises when there are any. The history stays in test-results/chaos-<backend>-<seed>/ then.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { runChaos } from "./chaos/chaos-run.ts";
import { runKills } from "./chaos/kills.ts";
import { type ChaosOptions, parseChaosOptions } from "./chaos/options.ts";
import { createProgress } from "./chaos/progress.ts";
import { summaryOf } from "./chaos/summary.ts";
import { RESULTS } from "./root.ts";

let options: ChaosOptions;
try {
  options = parseChaosOptions(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(2);
}
process.exitCode = options.kills === undefined ? await broken(options) : await runKills(options.kills, options.seed);

/** The exit code. */
async function broken(chaos: ChaosOptions): Promise<number> {
  const { backend, nodes, minutes, seed, durability, faults, rate, json } = chaos;
  const folder = join(RESULTS, `chaos-${backend}-${seed}`);
  const again = [
    `npm run chaos -- --backend ${backend} --nodes ${nodes} --minutes ${minutes} --seed ${seed}`,
    `--durability ${durability} --rate ${rate}${faults === undefined ? "" : ` --faults ${faults.join()}`}`,
  ].join(" ");
  const progress = createProgress(process.stderr);
  progress.say(
    `chaos: ${minutes} min on ${backend} (${durability}), ${nodes} node${nodes === 1 ? "" : "s"}, seed ${seed}`,
  );
  try {
    const report = await runChaos(chaos, folder, progress);
    progress.stop();
    if (json) console.log(JSON.stringify(report));
    else console.log(summaryOf(report));
    if (report.violations.length === 0) {
      rmSync(folder, { recursive: true, force: true });
      return 0;
    }
  } catch (error) {
    progress.stop();
    console.error(error instanceof Error ? error.stack : error);
  }
  console.error(`FAILED with seed ${seed}. The history is in ${folder}. Again: ${again}`);
  return 1;
}
