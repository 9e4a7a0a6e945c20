import { createRequire } from "node:module";

type Yaml = Pick<typeof import("yaml"), "parseDocument" | "stringify">;

let loaded: Yaml | undefined;

/** The parser, when it is first needed: most starts have no file, and its 72 modules would be a tenth of their time. */
export function yaml(): Yaml {
  loaded ??= createRequire(import.meta.url)("yaml") as Yaml;
  return loaded;
}
