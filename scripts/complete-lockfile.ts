/**
 * Run it after a change of dependencies: adds what npm leaves out of package-lock.json. Where a registry or mirror lacks
 * the binaries of other platforms, npm forgets them, and `npm ci` then refuses the lockfile on every platform. Their
 * entries are told by their names; they carry no integrity, which npm writes when it installs there.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./root.ts";

interface Locked {
  version?: string;
  license?: string;
  dev?: boolean;
  optional?: boolean;
  os?: readonly string[];
  cpu?: readonly string[];
  libc?: readonly string[];
  optionalDependencies?: Readonly<Record<string, string>>;
}

const PLATFORM = /[-.](android|darwin|freebsd|linux|win32)-(x64|arm64|aarch64|armv7|arm|ia32)(?:-(musl|gnu|glibc))?$/;
const CPUS: Readonly<Record<string, string>> = { aarch64: "arm64", armv7: "arm" };

function entryFor(name: string, version: string, parent: Locked): Locked {
  const [, os, cpu, libc] = PLATFORM.exec(name) ?? [];
  if (os === undefined || cpu === undefined) throw new Error(`${name} does not tell its platform: add it by hand`);
  return {
    version,
    cpu: [CPUS[cpu] ?? cpu],
    ...(parent.dev === true ? { dev: true } : {}),
    ...(libc === undefined ? {} : { libc: [libc === "musl" ? "musl" : "glibc"] }),
    ...(parent.license === undefined ? {} : { license: parent.license }),
    optional: true,
    os: [os],
  };
}

const file = join(ROOT, "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8")) as { packages: Record<string, Locked> };
const added: string[] = [];
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    if (lock.packages[path] !== undefined) continue;
    lock.packages[path] = entryFor(name, version, parent);
    added.push(name);
  }
}
const byPath = ([a]: [string, Locked], [b]: [string, Locked]) => a.localeCompare(b, "en");
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(byPath));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length === 0 ? "package-lock.json is complete" : `added ${added.join(", ")}`);
