import { isTree, type Layer, parseYaml, type Tree, withValue } from "./layers.ts";

const PREFIX = "AGENTBUS_";

/** A node of the JSON Schema, as far as reading text needs it. */
export interface SchemaNode {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode;
  readonly description?: string;
  readonly default?: unknown;
  readonly [key: string]: unknown;
}

/** "server.maxConnections" is set by AGENTBUS_SERVER__MAX_CONNECTIONS. */
export function environmentName(path: readonly PropertyKey[]): string {
  const parts = path.map((key) => String(key).replace(/[A-Z]/g, (letter) => `_${letter}`));
  return PREFIX + parts.join("__").toUpperCase();
}

/**
 * Reads the variables that start with AGENTBUS_. A name with `__` always means a configuration key, so a misspelt one is
 * refused with the rest; a name without counts only if it is a top-level key, because other programs (and Kubernetes,
 * for a service called agentbus) have variables of that form.
 */
export function environmentLayer(env: Readonly<Record<string, string | undefined>>, schema: SchemaNode): Layer {
  let values: Tree = {};
  for (const [name, text] of Object.entries(env).sort()) {
    if (!name.startsWith(PREFIX) || text === undefined) continue;
    const path = pathOf(name);
    const isKey = path.length > 1 || schema.properties?.[path[0] as string] !== undefined;
    if (isKey) values = withValue(values, path, readText(text, schemaAt(schema, path), name));
  }
  return { sourceOf: environmentName, values };
}

/** The schema of what stands at a path; undefined where the schema knows nothing. */
export function schemaAt(schema: SchemaNode, path: readonly PropertyKey[]): SchemaNode | undefined {
  return path.reduce<SchemaNode | undefined>((node, key) => {
    if (typeof key === "number") return node?.items;
    const other = node?.additionalProperties;
    return node?.properties?.[String(key)] ?? (isTree(other) ? (other as SchemaNode) : undefined);
  }, schema);
}

/**
 * A value given as text, read as its schema wants it: lists as YAML or separated by commas, maps as YAML. What does not
 * fit stays text, for the schema to refuse.
 */
export function readText(text: string, schema: SchemaNode | undefined, source: string): unknown {
  const type = schema?.type;
  if (type === "array") {
    const asYaml = /^\s*(?:\[|- )/.test(text) || schema?.items?.type === "object";
    return asYaml
      ? parseYaml(text, source)
      : text
          .split(",")
          .map((part) => part.trim())
          .filter((part) => part !== "");
  }
  if (type === "object") return parseYaml(text, source);
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : text;
  if (type === "integer" || type === "number")
    return /^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text.trim()) ? Number(text) : text;
  return text;
}

function pathOf(name: string): string[] {
  return name
    .slice(PREFIX.length)
    .split("__")
    .map((part) => part.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()));
}
