import { readdirSync, readFileSync } from "node:fs";

/** /proc counts in USER_HZ, which Linux fixes at 100 for user space on every architecture that Node runs on. */
const MICROSECONDS_PER_TICK = 10_000;

/** CPU time of a process with all its threads, user and system, in microseconds. Exact to 10 ms. Linux only. */
export function processCpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The second field is the command in parentheses and may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}

/** The same of a process and of all that it started and that still run: a database may serve each connection by one. */
export function processTreeCpuMicros(pid: number): number {
  let micros = processCpuMicros(pid);
  for (const child of childrenOf(pid)) {
    try {
      micros += processTreeCpuMicros(child);
    } catch {
      // It ended between being listed and being looked at.
    }
  }
  return micros;
}

function childrenOf(pid: number): number[] {
  const children: number[] = [];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").trim();
    if (text !== "") children.push(...text.split(" ").map(Number));
  }
  return children;
}

/** Resident memory of a process in bytes. */
export function processRssBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1024;
}

/** CPU time of this process, user and system, in microseconds. */
export function ownCpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export interface MachineSample {
  readonly busy: number;
  readonly total: number;
}

/** CPU ticks of the whole machine since boot. The load average says little here: it lags by a minute. */
export function machineSample(): MachineSample {
  const line = readFileSync("/proc/stat", "utf8").split("\n", 1)[0] ?? "";
  const ticks = line.trim().split(/\s+/).slice(1).map(Number);
  const total = ticks.reduce((sum, n) => sum + n, 0);
  const idle = (ticks[3] ?? 0) + (ticks[4] ?? 0);
  return { busy: total - idle, total };
}

/** Cores in use between two samples. */
export function coresBusy(from: MachineSample, to: MachineSample, cores: number): number {
  return to.total === from.total ? 0 : ((to.busy - from.busy) / (to.total - from.total)) * cores;
}
