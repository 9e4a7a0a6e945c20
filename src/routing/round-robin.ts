import { BusError } from "../core/errors.ts";
import type { RoutingFactory } from "./routing-strategy.ts";

/**
 * One member that is available and not the sender, in the order of ids, from where the last turn ended. The state is
 * this node's alone.
 */
export const roundRobin: RoutingFactory = () => {
  let last = "";
  return {
    route(_draft, { members, agents, sender, channel }) {
      // One pass without sorting: members come and go, and a turn looks at each of them once anyway.
      let next: string | undefined;
      let first: string | undefined;
      for (const agentId of members) {
        if (agentId === sender || !agents.isAvailable(agentId)) continue;
        if (agentId > last && (next === undefined || agentId < next)) next = agentId;
        if (first === undefined || agentId < first) first = agentId;
      }
      const chosen = next ?? first;
      if (chosen === undefined) throw new BusError("NO_CANDIDATE", `no other member of ${channel.key} is online`);
      last = chosen;
      return [chosen];
    },
  };
};
