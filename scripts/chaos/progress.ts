import type { ChaosEvents } from "./chaos-run.ts";
import type { Fault } from "./faults.ts";
import type { ServiceWatch } from "./service-watch.ts";

const REFRESH_MS = 500;

/** Tells of a run on standard error: a line for each fault and each recovery, and on a terminal one that moves. */
export function createProgress(out: NodeJS.WriteStream): ChaosEvents & { say(text: string): void; stop(): void } {
  const startedAt = performance.now();
  let watch: ServiceWatch | undefined;
  let faults = 0;
  const time = () => `${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s`;
  const clear = () => void (out.isTTY && out.write("\r\x1b[K"));
  const show = () => {
    if (out.isTTY) out.write(`\r\x1b[K${time()}  ${faults} faults, ${watch?.acked ?? 0} messages acknowledged`);
  };
  const say = (text: string) => {
    clear();
    out.write(`${time()}  ${text}\n`);
    show();
  };
  const timer = setInterval(show, REFRESH_MS);
  return {
    say,
    onStart(started) {
      watch = started;
    },
    onFault({ kind, target, durationMs }: Fault, phase) {
      if (phase === "begins") faults++;
      say(
        phase === "begins" ? `${kind} of ${target} for ${Math.round(durationMs)} ms` : `${kind} of ${target} is over`,
      );
    },
    onRecovered(recoveryMs, waitedFor) {
      const last = waitedFor.length > 0 && waitedFor.length <= 3 ? `, last ${waitedFor.join(", ")}` : "";
      say(`recovered in ${Math.round(recoveryMs)} ms${last}; ${watch?.acked ?? 0} messages acknowledged`);
    },
    onStep: say,
    stop() {
      clearInterval(timer);
      clear();
    },
  };
}
