import { ADAPTER_BUGS } from "./adapter-bugs.ts";
import { NODE_BUGS } from "./node-bugs.ts";
import type { PlantedBug } from "./planted-bug.ts";
import { SHARED_BUGS } from "./shared-bugs.ts";

export const PLANTED_BUGS: readonly PlantedBug[] = [...NODE_BUGS, ...SHARED_BUGS, ...ADAPTER_BUGS];

/** The table of docs/proof.md. */
export function plantedBugTable(): string {
  const rows = PLANTED_BUGS.map(({ name, harm, caughtBy }) => {
    const tests = caughtBy.map(({ file, title }) => `\`${file}\`: ${title.replaceAll("|", "\\|")}`).join("<br>");
    return `| ${name} | ${harm} | ${tests} |`;
  });
  return ["| Bug | What a user would suffer | Tests that fail |", "| --- | --- | --- |", ...rows, ""].join("\n");
}
