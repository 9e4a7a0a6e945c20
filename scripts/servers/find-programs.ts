import { accessSync, constants, globSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "../run.ts";
import type { ServerKind } from "./server-kind.ts";

/** Paths of a server's programs on this machine, in their order; undefined when one is missing. */
export function findPrograms(kind: ServerKind): readonly string[] | undefined {
  const onPath = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const versions = kind.folders.flatMap((pattern) => globSync(pattern).sort(byVersion).reverse());
  const folders = [...versions, ...onPath];
  const found = kind.programs.map((program) => folders.map((folder) => join(folder, program)).find(isExecutable));
  return found.every((program) => program !== undefined) ? found : undefined;
}

/** Installs a server's Debian package when we may: as root, on Debian or Ubuntu, not switched off. Says so. */
export async function installPrograms(
  kind: ServerKind,
  say: (text: string) => void,
): Promise<readonly string[] | undefined> {
  if (process.env["AGENTBUS_TEST_INSTALL"] === "0" || process.getuid?.() !== 0) return undefined;
  if (!isExecutable("/usr/bin/apt-get")) return undefined;
  say(`installing ${kind.aptPackage} with apt-get, for the tests (AGENTBUS_TEST_INSTALL=0 forbids it)`);
  // RUNLEVEL=1 keeps the package from starting a service of its own: tests start theirs.
  const env = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const apt = (...args: string[]) => run("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", ...args], { env });
  let installed = await apt("install", "-y", "--no-install-recommends", kind.aptPackage);
  if (installed.code !== 0) {
    await apt("update");
    installed = await apt("install", "-y", "--no-install-recommends", kind.aptPackage);
  }
  if (installed.code !== 0) say(`apt-get could not install ${kind.aptPackage}:\n${installed.output.slice(-2_000)}`);
  return findPrograms(kind);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const byVersion = (a: string, b: string) => a.localeCompare(b, "en", { numeric: true });
