import type { ScheduleEvents } from "./schedule.ts";
import type { FinishedStep, Step } from "./step.ts";

const MARKS = { passed: "✓", failed: "✗", skipped: "-" } as const;
const COLORS = { passed: 32, failed: 31, skipped: 33 } as const;
/** The end of a failed step's output is shown at once; all of it is in test-results/. */
const SHOWN_LINES = 120;

/** Tells of the run on standard error, so that standard output stays free for `--json`. */
export function createProgress(out: NodeJS.WriteStream): ScheduleEvents & { stop(): void } {
  const colored = out.isTTY && process.env["NO_COLOR"] === undefined;
  const running = new Map<string, number>();
  const paint = (color: number, text: string) => (colored ? `\x1b[${color}m${text}\x1b[0m` : text);
  const clear = () => void (out.isTTY && out.write("\r\x1b[K"));
  const show = () => {
    if (!out.isTTY || running.size === 0) return;
    const now = performance.now();
    const parts = [...running].map(([name, since]) => `${name} ${Math.round((now - since) / 1000)} s`);
    out.write(`\r\x1b[K  … ${parts.join(", ")}`);
  };
  const timer = setInterval(show, 1_000);
  return {
    onStart(step: Step) {
      running.set(step.name, performance.now());
      show();
    },
    onFinish(step) {
      running.delete(step.name);
      clear();
      const time = `${step.seconds.toFixed(1)} s`;
      out.write(
        `${paint(COLORS[step.status], MARKS[step.status])} ${step.name.padEnd(14)} ${time.padStart(8)}  ${step.detail}\n`,
      );
      if (step.status === "failed") out.write(`${lastLines(step.output)}\n`);
      show();
    },
    stop() {
      clearInterval(timer);
      clear();
    },
  };
}

function lastLines(output: string): string {
  const lines = output.trimEnd().split("\n");
  const shown = lines.slice(-SHOWN_LINES).map((line) => `    ${line}`);
  return [...(lines.length > SHOWN_LINES ? [`    … ${lines.length - SHOWN_LINES} lines before`] : []), ...shown].join(
    "\n",
  );
}

export function summaryTable(steps: readonly FinishedStep[], seconds: number): string {
  const rows = steps.map((step) => [`${MARKS[step.status]} ${step.name}`, `${step.seconds.toFixed(1)} s`, step.detail]);
  rows.push(["total", `${seconds.toFixed(1)} s`, verdict(steps)]);
  const width = Math.max(...rows.map(([name]) => name!.length));
  return rows.map(([name, time, detail]) => `${name!.padEnd(width)}  ${time!.padStart(8)}  ${detail}`).join("\n");
}

export function verdict(steps: readonly FinishedStep[]): string {
  const failed = steps.filter((step) => step.status === "failed").map((step) => step.name);
  const skipped = steps.filter((step) => step.status === "skipped").length;
  const left = skipped === 0 ? "" : `, ${skipped} not run`;
  return failed.length === 0
    ? `all ${steps.length - skipped} steps passed${left}`
    : `FAILED: ${failed.join(", ")}${left}`;
}
