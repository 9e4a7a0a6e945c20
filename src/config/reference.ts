import { configJsonSchema } from "./config-schema.ts";
import type { SchemaNode } from "./environment.ts";
import { formatDuration, formatSize } from "./units.ts";

const INTRODUCTION = `# Configuration

Generated from src/config by \`node scripts/configuration-docs.ts\`. Do not edit.

A YAML or JSON file (\`agentbus serve --config agentbus.yaml\`), then environment variables, then flags: what comes later
wins, key by key. Lists are replaced as a whole. Unknown keys are refused. All faults are reported at once, each with its
key and where its value came from; \`agentbus config check\` does that without starting, \`agentbus config print\` shows
what is in force.

Environment variables are named by the key: \`server.maxConnections\` is \`AGENTBUS_SERVER__MAX_CONNECTIONS\`. Lists of
words may be separated by commas; lists of maps, and maps, are written as YAML or JSON. Any key can be given as a flag:
\`--set server.port=7401\`.

Durations are written \`500ms\`, \`15s\`, \`2m\`, \`1h\`, \`7d\` or as a number of milliseconds; sizes \`64KiB\`, \`1MiB\`, \`2GiB\`,
\`1TiB\` or as a number of bytes.
`;

/** The page docs/configuration.md. */
export function configurationReference(): string {
  const root: SchemaNode = configJsonSchema();
  const entries = Object.entries(root.properties ?? {});
  const sections = entries.filter(([, node]) => isSection(node));
  const general = entries.filter(([, node]) => !isSection(node));
  return [
    INTRODUCTION,
    "## Top level\n",
    table(general.flatMap(([key, node]) => rows([key], node))),
    ...sections.flatMap(([key, node]) => [`## ${key}\n`, `${node.description}\n`, table(sectionRows([key], node))]),
  ].join("\n");
}

function isSection(node: SchemaNode): boolean {
  return node.properties !== undefined || node.items?.properties !== undefined;
}

function table(lines: readonly string[]): string {
  return ["| Key | Default | Values | Meaning |", "| --- | --- | --- | --- |", ...lines, ""].join("\n");
}

function sectionRows(path: readonly string[], node: SchemaNode): readonly string[] {
  const properties = node.properties ?? node.items?.properties ?? {};
  const prefix = node.items === undefined ? path : [...path.slice(0, -1), `${path.at(-1)}[]`];
  return Object.entries(properties).flatMap(([key, inner]) => rows([...prefix, key], inner));
}

function rows(path: readonly string[], node: SchemaNode): readonly string[] {
  const own = row(path, node);
  return isSection(node) && node["x-see"] === undefined ? [own, ...sectionRows(path, node)] : [own];
}

function row(path: readonly string[], node: SchemaNode): string {
  const cells = [`\`${path.join(".")}\``, defaultText(node), valuesText(node), node.description ?? ""];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function defaultText({ default: value, "x-unit": unit }: SchemaNode): string {
  if (
    value === undefined ||
    value === "" ||
    (typeof value === "object" && value !== null && Object.keys(value).length === 0)
  )
    return "";
  if (typeof value === "number" && unit === "size") return `\`${formatSize(value)}\``;
  if (typeof value === "number" && unit === "duration") return `\`${formatDuration(value)}\``;
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

function valuesText(node: SchemaNode): string {
  if (typeof node["x-range"] === "string") return `${node["x-unit"]}, ${node["x-range"]}`;
  if (Array.isArray(node["enum"])) return node["enum"].map((value) => `\`${value}\``).join(" ");
  if (node.type === "array") return node.items?.properties === undefined ? "list of words" : "list of maps";
  if (node.type === "object") return "map";
  const { minimum, maximum } = node;
  if (typeof minimum === "number" && typeof maximum === "number") return rangeText(minimum, maximum);
  return node.type === undefined ? "" : String(node.type);
}

function rangeText(minimum: number, maximum: number): string {
  const text = (value: number) => value.toLocaleString("en-US");
  return maximum >= Number.MAX_SAFE_INTEGER ? `${text(minimum)} or more` : `${text(minimum)} to ${text(maximum)}`;
}
