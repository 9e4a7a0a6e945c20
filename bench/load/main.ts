/** The client's process: gets one job over the channel to its parent, carries it out, sends back what it measured. */
import { runFanout } from "./fanout.ts";
import type { Job, Measurement } from "./job.ts";
import { runLatency } from "./latency.ts";
import { runPublish } from "./publish.ts";

process.once("message", async (job: Job) => {
  const { promise: problem, reject } = Promise.withResolvers<never>();
  problem.catch(() => {});
  const onProblem = (text: string) => reject(new Error(text));
  try {
    const measurement = await Promise.race([run(job, onProblem), problem]);
    process.send?.(measurement, () => process.exit(0));
  } catch (error) {
    process.send?.({ error: error instanceof Error ? error.message : String(error) }, () => process.exit(1));
  }
});

function run(job: Job, onProblem: (problem: string) => void): Promise<Measurement> {
  switch (job.kind) {
    case "fanout":
      return runFanout(job, onProblem);
    case "publish":
      return runPublish(job, onProblem);
    case "latency":
      return runLatency(job, onProblem);
  }
}
