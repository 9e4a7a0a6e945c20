import assert from "node:assert/strict";
import { describe, it } from "vitest";
import { startBus } from "../../support/bus-process.ts";
import type { FaultyBackend } from "./backend.ts";

/** A node that is told to leave while its storage stands still. */
export function describeLeaving(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: a node that leaves`, () => {
    // It waited for each of its last words to the storage until that was given up: 6 to 14 s of Ctrl-C.
    it("does not wait for a storage that stands still", async () => {
      const args = ["--storage", backend.url(), "--set", `storage.shared.prefix=${backend.prefix}`];
      // Longer than the test waits.
      await using bus = await startBus({ args: [...args, "--set", "storage.shared.timeout=60s"] });
      for (const [method, request] of [
        ["RegisterAgent", { agent: { agentId: "alice" } }],
        ["Heartbeat", { agentId: "alice" }],
      ] as const) {
        const response = await fetch(`${bus.url}/agentbus.v1.AgentService/${method}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(request),
        });
        assert.equal(response.status, 200, await response.text());
      }
      backend.server.freeze();
      assert.deepEqual(await bus.stop(30_000), { code: 0, signal: null });
      assert.ok(bus.log.some(({ msg }) => msg.startsWith("the storage does not answer: leaving")));
      backend.server.thaw();
    });
  });
}
