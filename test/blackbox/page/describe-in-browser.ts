import { describe, it } from "vitest";
import { ensureBrowser } from "../../../scripts/browser.ts";

/**
 * Registers tests that need a real browser, given its program; without one a skipped test that says so stands in their
 * place, and with AGENTBUS_TEST_REQUIRE=1 it fails.
 */
export async function describeInBrowser(register: (program: string) => void): Promise<void> {
  const program = await ensureBrowser();
  if (program !== undefined) register(program);
  else {
    describe("a browser", () => {
      it.skip("SKIPPED: there is no Chromium; see CONTRIBUTING.md on how tests find one", () => {});
    });
  }
}
