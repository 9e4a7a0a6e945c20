import { accessSync, constants, existsSync, globSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { run } from "../run.ts";
import type { ServerProgram } from "./server-kind.ts";

/** What is needed of a kind to find its programs, and to install them. */
export type Installable = Pick<ServerProgram, "programs" | "folders" | "aptPackage">;

/**
 * Paths of a server's programs on this machine, in their order; undefined when one is missing. Folders that
 * AGENTBUS_TEST_PROGRAMS names come first, for all of a server's programs: never two of different versions. Throws when it
 * names a folder without programs: the tests would run on another version than was meant.
 */
export function findPrograms(kind: Installable): readonly string[] | undefined {
  const versions = kind.folders.flatMap((pattern) => globSync(pattern).sort(byVersion).reverse());
  const chosen = foldersIn("AGENTBUS_TEST_PROGRAMS");
  for (const folder of chosen) checkFolder(folder);
  return findIn(chosen, kind) ?? findIn([...versions, ...foldersIn("PATH")], kind);
}

function findIn(folders: readonly string[], { programs }: Installable): readonly string[] | undefined {
  const found = programs.map((program) => folders.map((folder) => join(folder, program)).find(isExecutable));
  return found.every((program) => program !== undefined) ? found : undefined;
}

function checkFolder(folder: string): void {
  const wrong = `AGENTBUS_TEST_PROGRAMS names ${JSON.stringify(folder)}, which `;
  if (!existsSync(folder)) throw new Error(`${wrong}does not exist`);
  if (!statSync(folder).isDirectory()) throw new Error(`${wrong}is a file: name the folder it is in`);
  const holdsPrograms = readdirSync(folder).some((name) => {
    const path = join(folder, name);
    return isExecutable(path) && statSync(path).isFile();
  });
  if (!holdsPrograms)
    throw new Error(`${wrong}holds no program: name the folder with the servers' programs, often .../bin`);
}

function foldersIn(variable: string): readonly string[] {
  return (process.env[variable] ?? "").split(delimiter).filter((folder) => folder !== "");
}

/** Tells packages that are being installed not to start their services: tests start servers of their own. */
const POLICY = "/usr/sbin/policy-rc.d";
/** One at a time: they would only wait for each other's lock. */
let installing: Promise<unknown> = Promise.resolve();

/** Installs a server's Debian package when we may: as root, on Debian or Ubuntu, not switched off. Says so. */
export async function installPrograms(
  kind: Installable,
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
