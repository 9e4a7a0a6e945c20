/** A client in a process of its own, to be killed: subscribes, says so to its parent, and reads on. */
import { openClients } from "../support/wire-clients.ts";

const [url, agentId] = process.argv.slice(2);
const { bus } = openClients(url!);
for await (const { opened } of bus.subscribe({ agentId: agentId!, channels: ["lab:notes"] })) {
  if (opened !== undefined) process.send?.("open");
}
