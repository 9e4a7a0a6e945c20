/**
 * Which folder may import which of our own: the table of CONTRIBUTING.md. Paths are relative to the repository, with
 * forward slashes. The first rule that fits a file decides. Unit tests (x.test.ts) beside the sources are free.
 */
export interface ImportRule {
  readonly name: string;
  readonly files: RegExp;
  /** Our own files that it may import. `$1` is what the rule's first group matched. */
  readonly allowed: readonly string[];
  /** It imports no package and nothing of Node. */
  readonly standsAlone?: boolean;
  /** It is shipped: packages that it imports must be dependencies of the package.json in this folder. */
  readonly shippedFrom?: "." | "sdk/typescript";
}

const PORTS = "^src/storage/[^/]+\\.ts$";
const server = { shippedFrom: "." } as const;

export const IMPORT_TABLE: readonly ImportRule[] = [
  { name: "unit test", files: /^src\/.*\.test\.ts$/, allowed: ["^(src|gen|test/support|test/conformance)/"] },
  { name: "gen", files: /^gen\//, allowed: ["^gen/"], ...server },
  { name: "core", files: /^src\/core\//, allowed: ["^src/core/"], standsAlone: true, ...server },
  { name: "wire", files: /^src\/wire\//, allowed: ["^src/(wire|core)/", "^gen/"], ...server },
  { name: "routing", files: /^src\/routing\//, allowed: ["^src/(routing|core)/"], ...server },
  { name: "storage port", files: /^src\/storage\/[^/]+\.ts$/, allowed: [PORTS, "^src/core/"], ...server },
  {
    name: "storage adapter",
    files: /^src\/storage\/([^/]+)\//,
    allowed: ["^src/storage/$1/", "^src/storage/sql/", PORTS, "^src/core/"],
    ...server,
  },
  { name: "observability", files: /^src\/observability\//, allowed: ["^src/(observability|core)/"], ...server },
  { name: "config", files: /^src\/config\//, allowed: ["^src/(config|core)/"], ...server },
  { name: "bus", files: /^src\/bus\//, allowed: ["^src/(bus|core|routing)/", PORTS], ...server },
  { name: "rpc", files: /^src\/rpc\//, allowed: ["^src/(rpc|bus|core|wire)/", "^gen/"], ...server },
  { name: "gateway", files: /^src\/gateway\//, allowed: ["^src/(gateway|bus|core|wire)/", "^gen/"], ...server },
  {
    // Health, reflection and refusals before any handler are the listener's own: it needs their generated code.
    name: "server",
    files: /^src\/server\//,
    allowed: ["^src/(server|rpc|gateway|observability|core)/", "^gen/(grpc|google)/"],
    ...server,
  },
  { name: "serve command", files: /^src\/cli\/serve\.ts$/, allowed: ["^src/"], ...server },
  { name: "cli", files: /^src\/cli\//, allowed: ["^src/(cli|config|core)/"], ...server },
  { name: "main", files: /^src\/[^/]+\.ts$/, allowed: ["^src/", "^gen/"], ...server },
  {
    name: "TypeScript SDK",
    files: /^sdk\/typescript\/src\//,
    allowed: ["^sdk/typescript/src/"],
    shippedFrom: "sdk/typescript",
  },
  {
    name: "black-box test",
    files: /^test\/blackbox\//,
    allowed: [
      "^test/(blackbox|support)/",
      "^gen/",
      "^sdk/typescript/src/gen/",
      "^scripts/(browser|tools|python)\\.ts$",
    ],
  },
  { name: "example", files: /^examples\//, allowed: ["^examples/", "^test/support/"] },
];
