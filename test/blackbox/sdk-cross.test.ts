import { describe, it } from "vitest";
import { testServerUrl } from "../support/test-servers.ts";
import { FILE, MEMORY, onServer } from "../support/test-storage.ts";
import { talkOn } from "./sdk/talk-on.ts";

const SERVERS = [
  ["redis", "redis"],
  ["postgres", "postgres"],
  ["mysql", "mariadb"],
] as const;
const urls = await Promise.all(SERVERS.map(([, server]) => testServerUrl(server)));

// Each ends by itself after about ten seconds; the limit is for a talk that hangs, which says why before.
describe("TypeScript and Python agents in one full-duplex talk, each link cut every 0.5 to 3 s", {
  timeout: 400_000,
}, () => {
  it("U-4, S3-SC-010: everyone reads every message that is for it, once and in order, and no other", async () => {
    await talkOn({ storage: MEMORY, nodes: 1, seed: 1 });
  });

  it("U-4, S3-SC-003, S0-2.1.4b: also when the server is killed with -9 in the middle and started again on its file", async () => {
    await talkOn({ storage: FILE, nodes: 1, seed: 2, kill: true });
  });

  for (const [i, [name, server]] of SERVERS.entries()) {
    it.skipIf(urls[i] === undefined)(
      `U-4, S3-SC-003: also over two nodes on ${name} of which one is killed with -9 in the middle (needs ${server})`,
      async () => {
        await talkOn({ storage: onServer(name, urls[i]!), nodes: 2, seed: 3 + i, kill: true });
      },
    );
  }
});
