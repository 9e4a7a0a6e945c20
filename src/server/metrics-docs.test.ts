import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "vitest";
import { startServer } from "../../test/support/in-process-server.ts";
import { COMPAT_NAMES } from "../observability/meters.ts";

const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");

/** Names in the table of one section. */
function documented(section: string): readonly string[] {
  const body = page.split(/^## /m).find((text) => text.startsWith(`${section}\n`)) ?? "";
  return Array.from(body.matchAll(/^\| `agentbus_(\w+)` \|/gm), ([, name]) => name as string);
}

describe("docs/metrics.md", () => {
  it("S3-FR-007: lists what the server counts, no more and no less", async () => {
    const { meters } = await startServer();
    assert.deepEqual([...documented("Server")].sort(), meters.names());
  });

  it("lists the names that are offered without prefix", () => {
    for (const name of COMPAT_NAMES) assert.ok(page.includes(`\`${name}\``), name);
  });
});
