import { isTree, type Tree } from "./layers.ts";
import type { Config } from "./load-config.ts";
import { formatDuration, formatSize } from "./units.ts";
import { yaml } from "./yaml.ts";

const REDACTED = "<redacted>";
const SECRET_KEY = /pass|secret|token|credential|private|^key$|apikey$|sha256/i;

/**
 * The configuration in force as YAML, in the form that a file takes. Secrets are left out: hashes of keys, passwords in
 * URLs, and what is named like a secret among the options of a custom storage.
 */
export function describeConfig(config: Config): string {
  return yaml().stringify(written(config), { lineWidth: 0 });
}

/** From resolved to written form: `drainMs: 10000` becomes `drain: 10s`, `maxBytes: 1024` becomes `maxBytes: 1KiB`. */
function written(value: unknown, path: readonly string[] = []): unknown {
  if (Array.isArray(value)) return value.map((item) => written(item, path));
  if (!isTree(value)) return typeof value === "string" ? withoutPassword(value) : value;
  return Object.fromEntries(
    Object.entries(value as Tree)
      .filter(([, inner]) => inner !== undefined)
      .map(([key, inner]) => writtenEntry(key, inner, path)),
  );
}

function writtenEntry(key: string, value: unknown, path: readonly string[]): [string, unknown] {
  // TLS names its file `key`: a path, not a secret.
  if (SECRET_KEY.test(key) && typeof value === "string" && path.at(-1) !== "tls") return [key, REDACTED];
  if (path.join(".") !== "storage.options" && typeof value === "number") {
    if (key.endsWith("Ms")) return [key.slice(0, -"Ms".length), formatDuration(value)];
    if (key.endsWith("Bytes")) return [key, formatSize(value)];
  }
  return [key, written(value, [...path, key])];
}

/** A URL as it may be shown: without the password of its user and without parameters named like a secret. */
export function withoutPassword(url: string): string {
  return url
    .replace(/^([a-z][a-z0-9+.-]*:\/\/[^:@/\s]*):[^@/\s]*@/i, `$1:${REDACTED}@`)
    .replace(/([?&][^=&\s]*(?:pass|secret|token)[^=&\s]*=)[^&\s]*/gi, `$1${REDACTED}`);
}
