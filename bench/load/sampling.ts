import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { coresBusy, type MachineSample, machineSample, ownCpuMicros, processTreeCpuMicros } from "../harness/cpu.ts";
import type { Measurement } from "./job.ts";

interface Sample {
  readonly at: number;
  readonly operations: number;
  readonly client: number;
  readonly server: number;
  readonly storage: number;
  readonly machine: MachineSample;
}

interface Sampled {
  readonly serverPids: readonly number[];
  /** Default: none. */
  readonly storagePids?: readonly number[];
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Lets the load run warm, then takes rate and CPU of both sides over the measured time. */
export async function measure(
  job: Sampled,
  operations: () => number,
  onStart: () => void = () => {},
): Promise<Measurement> {
  const sample = (): Sample => ({
    at: performance.now(),
    operations: operations(),
    client: ownCpuMicros(),
    server: cpuOf(job.serverPids),
    storage: cpuOf(job.storagePids ?? []),
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
    storageCpuMicros: to.storage - from.storage,
    clientCpuMicros,
    otherCores: Math.max(0, cores - (serverCpuMicros + clientCpuMicros) / 1_000 / elapsedMs),
  };
}

function cpuOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + processTreeCpuMicros(pid), 0);
}

/** Waits until a condition holds that the load brings about by itself. Throws `explain()` when it does not in time. */
export async function settled(condition: () => boolean, timeoutMs: number, explain: () => string): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(explain());
    await delay(5);
  }
}
