import { createHash } from "node:crypto";
import { openClients } from "../../test/support/wire-clients.ts";
import type { Cluster } from "./cluster.ts";
import { fetchLog } from "./final-logs.ts";
import type { Recorder } from "./recorder.ts";
import { WITNESSES } from "./stage-plan.ts";

/** Reads every log as the witnesses see it from every node, writes it down, and answers where two nodes differ. */
export async function recordAndCompareLogs(
  cluster: Cluster,
  history: Recorder,
  channels: readonly string[],
): Promise<readonly string[]> {
  const differences: string[] = [];
  for (const channel of channels) {
    const owner = channel.startsWith("_inbox:") ? channel.slice("_inbox:".length) : undefined;
    for (const agent of owner === undefined ? WITNESSES : [owner]) {
      let first: { readonly node: string; readonly digest: string } | undefined;
      for (const node of cluster.nodes) {
        using clients = openClients(node.directUrl);
        const { fetched } = await fetchLog(clients, agent, channel);
        const digest = createHash("sha256").update(JSON.stringify(fetched)).digest("hex");
        if (first === undefined) {
          history.record(fetched);
          first = { node: node.name, digest };
        } else if (first.digest !== digest) {
          // Both are judged; the later one counts as what is there.
          history.record(fetched);
          differences.push(`${agent} reads another ${channel} from ${node.name} than from ${first.node}`);
        }
      }
    }
  }
  return differences;
}
