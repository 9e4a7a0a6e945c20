/** `npm run check:imports`: holds the import table (scripts/imports/import-table.ts). Exits 1 when a file breaks it. */
import { globSync } from "node:fs";
import { judgeImports } from "./imports/judge-imports.ts";
import { ROOT } from "./root.ts";

const files = globSync(
  ["{src,gen,bench,examples,test,scripts}/**/*.{ts,mts,js,mjs}", "sdk/typescript/{src,test}/**/*.ts"],
  {
    cwd: ROOT,
    exclude: (name) => ["node_modules", "dist", ".venv"].includes(name),
  },
).sort();
const faults = judgeImports(ROOT, files);
for (const { file, line, text } of faults) console.error(`${file}:${line}: ${text}`);
console.log(`${files.length} files, ${faults.length} forbidden imports`);
process.exitCode = faults.length === 0 ? 0 : 1;
