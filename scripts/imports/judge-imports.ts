import { existsSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, posix } from "node:path";
import { IMPORT_TABLE, type ImportRule } from "./import-table.ts";
import { readImports } from "./read-imports.ts";

export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** Judges files (paths relative to `root`) by the import table, and looks for cycles within src. */
export function judgeImports(root: string, files: readonly string[]): readonly Fault[] {
  const faults: Fault[] = [];
  const graph = new Map<string, string[]>();
  for (const file of files) {
    const rule = IMPORT_TABLE.find((candidate) => candidate.files.test(file));
    for (const { specifier, line, typeOnly } of readImports(file, readFileSync(join(root, file), "utf8"))) {
      const target = specifier.startsWith(".") ? posix.join(posix.dirname(file), specifier) : undefined;
      // Types alone make no cycle that could find a module half loaded.
      if (target !== undefined && !typeOnly && file.startsWith("src/")) {
        graph.set(file, [...(graph.get(file) ?? []), target]);
      }
      const text =
        rule && (target === undefined ? judgePackage(root, rule, specifier) : judgeOwn(root, rule, file, target));
      if (text !== undefined) faults.push({ file, line, text });
    }
  }
  for (const cycle of findCycles(graph)) faults.push({ file: cycle[0]!, line: 1, text: `cycle: ${cycle.join(" → ")}` });
  return faults;
}

function judgeOwn(root: string, rule: ImportRule, file: string, target: string): string | undefined {
  if (!existsSync(join(root, target))) return `${target} does not exist`;
  const group = rule.files.exec(file)?.[1] ?? "";
  const allowed = rule.allowed.map((pattern) => pattern.replace("$1", RegExp.escape(group)));
  if (allowed.some((pattern) => new RegExp(pattern).test(target))) return undefined;
  return `${rule.name} may not import ${target} (allowed: ${allowed.join(" ")})`;
}

function judgePackage(root: string, rule: ImportRule, specifier: string): string | undefined {
  if (rule.standsAlone === true) return `${rule.name} stands alone, it may not import ${specifier}`;
  if (specifier === "(computed)" || specifier.startsWith("node:") || rule.shippedFrom === undefined) return undefined;
  if (builtinModules.includes(specifier)) return `write node:${specifier}`;
  const [scope, name] = specifier.split("/");
  const wanted = specifier.startsWith("@") ? `${scope}/${name}` : scope!;
  if (shippedPackages(root, rule.shippedFrom).has(wanted)) return undefined;
  return `${wanted} is no dependency of ${rule.shippedFrom}/package.json: what is shipped would lack it`;
}

function shippedPackages(root: string, folder: string): ReadonlySet<string> {
  const text = readFileSync(join(root, folder, "package.json"), "utf8");
  const { dependencies = {}, peerDependencies = {} } = JSON.parse(text) as Record<string, Record<string, string>>;
  return new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
}

/** Each cycle once, beginning at the file that is met first. */
function findCycles(graph: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const walk = (file: string) => {
    const at = path.indexOf(file);
    if (at >= 0) cycles.push([...path.slice(at), file]);
    if (at >= 0 || done.has(file)) return;
    path.push(file);
    for (const target of graph.get(file) ?? []) walk(target);
    path.pop();
    done.add(file);
  };
  for (const file of graph.keys()) walk(file);
  return cycles;
}
