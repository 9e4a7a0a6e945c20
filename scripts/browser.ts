/**
 * The Chromium that black-box tests drive: the one that AGENTBUS_TEST_BROWSER names, else one on the machine, else, as
 * root on Debian, the package chromium (124 MB, installed in half a minute).
 */
import { findPrograms, type Installable, installPrograms } from "./servers/find-programs.ts";

const PACKAGE = "chromium";
/** The one without windows last: it keeps no page for the "back" button, as browsers of people do. */
const NAMES = [
  PACKAGE,
  "chromium-browser",
  "google-chrome-stable",
  "google-chrome",
  "chrome",
  "chromium-headless-shell",
];

const called = (name: string): Installable => ({ programs: [name], folders: [], aptPackage: PACKAGE });

/** Path of the program; undefined when it cannot be had here. Throws in that case with AGENTBUS_TEST_REQUIRE=1. */
export async function ensureBrowser(say: (text: string) => void = console.error): Promise<string | undefined> {
  const named = process.env["AGENTBUS_TEST_BROWSER"];
  if (named !== undefined && named !== "") return named;
  for (const name of NAMES) {
    const found = findPrograms(called(name));
    if (found !== undefined) return found[0];
  }
  const installed = await installPrograms(called(PACKAGE), say);
  if (installed !== undefined) return installed[0];
  const missing = "there is no Chromium on this machine, and it could not be installed; or set AGENTBUS_TEST_BROWSER";
  if (process.env["AGENTBUS_TEST_REQUIRE"] === "1") throw new Error(missing);
  say(`SKIPPED: everything that needs a browser: ${missing}`);
  return undefined;
}
