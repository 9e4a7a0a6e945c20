import { accessSync, constants, existsSync, globSync, rmSync, writeFileSync } from "node:fs";
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

/** Tells packages that are being installed not to start their services: tests start servers of their own. */
const POLICY = "/usr/sbin/policy-rc.d";
/** One at a time: they would only wait for each other's lock. */
let installing: Promise<unknown> = Promise.resolve();

/** Installs a server's Debian package when we may: as root, on Debian or Ubuntu, not switched off. Says so. */
export async function installPrograms(
  kind: ServerKind,
  say: (text: string) => void,
): Promise<readonly string[] | undefined> {
  if (process.env["AGENTBUS_TEST_INSTALL"] === "0" || process.getuid?.() !== 0) return undefined;
  if (!isExecutable("/usr/bin/apt-get")) return undefined;
  const installed = installing.then(() => install(kind.aptPackage, say));
  installing = installed;
  await installed;
  return findPrograms(kind);
}

async function install(name: string, say: (text: string) => void): Promise<void> {
  say(`installing ${name} with apt-get, for the tests (AGENTBUS_TEST_INSTALL=0 forbids it)`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const apt = (...args: string[]) => run("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=300", ...args], { env });
  const own = !existsSync(POLICY);
  if (own) writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    let outcome = await apt("install", "-y", "--no-install-recommends", name);
    if (outcome.code !== 0) {
      // The machine has no lists of packages, or old ones.
      await apt("update");
      outcome = await apt("install", "-y", "--no-install-recommends", name);
    }
    if (outcome.code !== 0) say(`apt-get could not install ${name}:\n${outcome.output.slice(-2_000)}`);
  } finally {
    if (own) rmSync(POLICY, { force: true });
  }
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
