import { AgentState } from "../../gen/agentbus/v1/agent_pb.ts";
import { waitUntil } from "../../test/support/wait.ts";
import { openClients, type WireClients } from "../../test/support/wire-clients.ts";
import type { Cluster } from "./cluster.ts";

/** Waits until every node says the same of these agents. Throws an Error with who is seen wrongly, and where. */
export async function expectPresence(
  cluster: Cluster,
  agents: readonly string[],
  isPresent: boolean,
  timeoutMs: number,
): Promise<void> {
  for (const node of cluster.nodes) {
    using clients = openClients(node.directUrl);
    let wrong: readonly string[] = agents;
    const what = () => `${node.name} to see ${wrong.join(", ")} ${isPresent ? "present" : "offline"}`;
    await waitUntil(
      async () => {
        wrong = await seenWrongly(clients, agents, isPresent);
        return wrong.length === 0;
      },
      { timeoutMs, what },
    );
  }
}

async function seenWrongly(
  { agents }: WireClients,
  expected: readonly string[],
  isPresent: boolean,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  for (const agentId of expected) {
    const { agent } = await agents.getAgent({ agentId });
    if ((agent?.state !== AgentState.OFFLINE) !== isPresent) wrong.push(agentId);
  }
  return wrong;
}
