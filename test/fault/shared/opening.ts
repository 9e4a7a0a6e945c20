import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { inspect } from "node:util";
import { describe, it } from "vitest";
import type { BusError } from "../../../src/core/errors.ts";
import { append, batch, INCARNATION, NAME, range, record, records } from "../../conformance/appending.ts";
import type { FaultyBackend } from "./backend.ts";
import { inTime, isPlain, unavailable } from "./recovery.ts";

/** How a shared storage is opened, and what it says when it cannot be. */
export function describeOpening(adapter: string, backend: FaultyBackend): void {
  describe(`${adapter}: opening`, () => {
    it("a server that is not there, or that does not speak, is unavailable in time", async () => {
      const proxy = await backend.proxy();
      proxy.refuse(true);
      await assert.rejects(inTime(backend.openImpatient(proxy.port), "an outcome"), unavailable);
      await assert.rejects(inTime(backend.openImpatient(1), "an outcome"), unavailable);
      const silent = createServer().listen(0, "127.0.0.1");
      backend.after(() => silent.close());
      await once(silent, "listening");
      const { port } = silent.address() as { port: number };
      await assert.rejects(inTime(backend.open({ connectTimeoutMs: 300 }, port), "an outcome"), unavailable);
    });

    it("a wrong user is told, with what to do and without the password", async () => {
      const url = new URL(backend.url());
      url.username = "nobody";
      url.password = "hunter2";
      await assert.rejects(backend.openAt(url.href), (error) => {
        assert.ok(isPlain(/user and password|correct the URL/)(error), String(error));
        return !inspect(error, { depth: null, showHidden: true }).includes("hunter2");
      });
    });

    it("what a newer program left is not touched", async () => {
      await backend.open();
      await backend.markNewer();
      const before = await backend.layout();
      await assert.rejects(backend.open(), isPlain(/newer agentbus/));
      assert.deepEqual(await backend.layout(), before);
    });

    it("nodes that start at once make one layout", async () => {
      await backend.open();
      const before = await backend.layout();
      await backend.removeAll();
      const nodes = await Promise.all(range(1, 4).map(() => backend.open()));
      await nodes[0]!.log.create(NAME, INCARNATION, 1);
      await append(nodes[3]!.log, records(1));
      assert.deepEqual(await backend.layout(), before);
      for (const node of nodes) assert.equal(node.problem(), undefined);
    });

    it("messages are not in its errors", async () => {
      const storage = await backend.open();
      await storage.log.create(NAME, INCARNATION, 1);
      const named = await backend.breakAppends();
      const body = Buffer.from("a secret body");
      const appending = async () => storage.log.append(batch([record({ body, sender: "secret-agent" })]));
      await assert.rejects(appending, (error) => {
        const { reason, message, details } = error as BusError;
        assert.ok(reason === "STORAGE_UNAVAILABLE" || reason === "INTERNAL", reason);
        const said = inspect([message, details, details.cause], { depth: null, showHidden: true });
        assert.match(said, named);
        for (const secret of ["secret body", "secret-agent", body.toString("hex"), [...body].slice(0, 5).join(", ")]) {
          assert.ok(!said.includes(secret), said);
        }
        return true;
      });
    });
  });
}
