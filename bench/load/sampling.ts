import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { coresBusy, type MachineSample, machineSample, ownCpuMicros, processTreeCpuMicros } from "../harness/cpu.ts";
import type { Measurement } from "./job.ts";

interface Sample {
  readonly at: number;
  readonly operations: number;
  readonly client: number;
  readonly server: number;
  readonly machine: MachineSample;
}

/** Lets the load run warm, then takes rate and CPU of both sides over the measured time. */
export async function measure(
  job: { readonly serverPids: readonly number[]; readonly warmUpMs: number; readonly measureMs: number },
  operations: () => number,
  onStart: () => void = () => {},
): Promise<Measurement> {
  const sample = (): Sample => ({
    at: performance.now(),
    operations: operations(),
    client: ownCpuMicros(),
    server: job.serverPids.reduce((sum, pid) => sum + processTreeCpuMicros(pid), 0),
    machine: machineSample(),
  });
  await delay(job.warmUpMs);
  onStart();
  const from = sample();
  await delay(job.measureMs);
  const to = sample();
  const elapsedMs = to.at - from.at;
  const serverCpuMicros = to.server - from.server;
  const clientCpuMicros = to.client - from.client;
  const cores = coresBusy(from.machine, to.machine, availableParallelism());
  return {
    operations: to.operations - from.operations,
    elapsedMs,
    serverCpuMicros,
    clientCpuMicros,
    otherCores: Math.max(0, cores - (serverCpuMicros + clientCpuMicros) / 1_000 / elapsedMs),
  };
}

/** Waits until a condition holds that the load brings about by itself. Throws `explain()` when it does not in time. */
export async function settled(condition: () => boolean, timeoutMs: number, explain: () => string): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(explain());
    await delay(5);
  }
}
