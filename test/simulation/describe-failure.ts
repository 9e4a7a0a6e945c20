import type { SimulationReport } from "./simulate.ts";

const SHOWN_VIOLATIONS = 12;
const SHOWN_LINES = 60;

/** What a failed run says to people: what it broke, how to see it again, and what happened last. */
export function describeFailure({ seed, violations, kinds, trace }: SimulationReport): string {
  const more = violations.length - SHOWN_VIOLATIONS;
  return [
    `seed ${seed} breaks ${violations.length} promises, with the faults ${kinds.join(", ") || "none"}:`,
    ...violations.slice(0, SHOWN_VIOLATIONS).map((text) => `  ${text}`),
    ...(more > 0 ? [`  and ${more} more`] : []),
    `run it again: npm run simulate -- --seeds 1 --from ${seed}`,
    "what happened last:",
    ...trace.slice(-SHOWN_LINES).map(({ atMs, where, what }) => `  ${atMs.toFixed(3).padStart(11)}  ${where}: ${what}`),
  ].join("\n");
}
