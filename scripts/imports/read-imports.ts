import { parseSync } from "rolldown/utils";

export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** Erased when the program runs. */
  readonly typeOnly: boolean;
}

/**
 * Everything that a TypeScript or JavaScript file imports, types included: a layer that knows another's types depends
 * on it. A dynamic import of something other than a literal is answered as "(computed)". Throws when it cannot parse.
 */
export function readImports(file: string, source: string): readonly Import[] {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file} does not parse: ${errors[0]?.message}`);
  const imports: Import[] = [];
  visit(program, (node) => {
    const target = importedBy(node);
    if (target === undefined) return;
    const line = source.slice(0, Number(node["start"])).split("\n").length;
    const specifier = typeof target["value"] === "string" ? target["value"] : "(computed)";
    const kind = node["importKind"] ?? node["exportKind"];
    imports.push({ specifier, line, typeOnly: kind === "type" || node["type"] === "TSImportType" });
  });
  return imports;
}

type Node = Readonly<Record<string, unknown>>;

function importedBy(node: Node): Node | undefined {
  switch (node["type"]) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
    case "ImportExpression":
    case "TSImportType":
      return asNode(node["source"]);
    case "TSExternalModuleReference":
      return asNode(node["expression"]);
    default:
      return undefined;
  }
}

function visit(value: unknown, see: (node: Node) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) visit(item, see);
    return;
  }
  const node = asNode(value);
  if (node === undefined) return;
  if (typeof node["type"] === "string") see(node);
  for (const part of Object.values(node)) visit(part, see);
}

function asNode(value: unknown): Node | undefined {
  return typeof value === "object" && value !== null ? (value as Node) : undefined;
}
