import { readFileSync } from "node:fs";
import { ConfigError } from "./config-error.ts";
import { yaml } from "./yaml.ts";

export type Tree = { readonly [key: string]: unknown };

/** One source of values; later layers win over earlier ones, key by key. Lists are replaced as a whole. */
export interface Layer {
  /** Names the source of the value at a path, for people. */
  readonly sourceOf: (path: readonly PropertyKey[]) => string;
  readonly values: Tree;
}

/** The file's bytes that are read at most. */
const MAX_FILE_BYTES = 16 * 1_048_576;

/** Reads a YAML or JSON file (JSON is YAML). Throws ConfigError with every syntax error. */
export function fileLayer(file: string): Layer {
  const values = parseYaml(readText(file), file) ?? {};
  if (!isTree(values)) throw new ConfigError([{ path: "", source: file, message: "must hold a map of sections" }]);
  return { sourceOf: () => file, values };
}

/** Flags, as a tree of the sections. */
export function flagsLayer(overrides: Tree): Layer {
  return { sourceOf: () => "flags", values: overrides };
}

/** Reads "server.port=7401", as `--set` takes it. Throws ConfigError. */
export function splitAssignment(assignment: string): { path: readonly string[]; text: string } {
  const equals = assignment.indexOf("=");
  const path = assignment.slice(0, equals).split(".");
  if (equals <= 0 || path.includes("")) {
    throw new ConfigError([
      { path: "", source: "flags", message: `${JSON.stringify(assignment)} must be like server.port=7401` },
    ]);
  }
  return { path, text: assignment.slice(equals + 1) };
}

/** Earlier trees overlaid by later ones. Own properties only, so that a key "__proto__" stays a key. */
export function merge(lower: Tree, upper: Tree): Tree {
  const entries = new Map<string, unknown>(Object.entries(lower));
  for (const [key, value] of Object.entries(upper)) {
    const below = entries.get(key);
    entries.set(key, isTree(below) && isTree(value) ? merge(below, value) : value);
  }
  return Object.fromEntries(entries);
}

/** The tree with `value` at `path`. */
export function withValue(tree: Tree, path: readonly string[], value: unknown): Tree {
  return merge(tree, path.reduceRight<unknown>((inner, key) => Object.fromEntries([[key, inner]]), value) as Tree);
}

export function has(tree: unknown, path: readonly PropertyKey[]): boolean {
  let at = tree;
  for (const key of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return false;
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  return true;
}

export function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (has(at, [key]) ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    tree,
  );
}

/** Parses YAML. Throws ConfigError with line and column of every fault. */
export function parseYaml(text: string, source: string): unknown {
  const document = yaml().parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map(({ message }) => ({ path: "", source, message: message.trimEnd() })));
  }
  return document.toJS({ maxAliasCount: 100 });
}

export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readText(file: string): string {
  try {
    const bytes = readFileSync(file);
    if (bytes.length <= MAX_FILE_BYTES) return bytes.toString("utf8");
  } catch (cause) {
    const message = `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new ConfigError([{ path: "", source: file, message }]);
  }
  throw new ConfigError([{ path: "", source: file, message: `is larger than ${MAX_FILE_BYTES} bytes` }]);
}
