// A person at the terminal: every line that is typed goes to the room, everything that others say is printed.
// Usage: node examples/chatroom/person.ts [name]
import { createInterface } from "node:readline";
import { AgentBus } from "agentbus/node";

const ROOM = "science:explore";

await using bus = new AgentBus({ url: process.env["AGENTBUS_URL"] ?? "http://127.0.0.1:7400" });
const person = bus.agent(process.argv[2] ?? "you", { kind: "human" });
await person.join(ROOM);

const subscription = person.subscribe({ channels: [ROOM] });
await subscription.ready();
console.log(`You are ${person.id} in ${ROOM}. Type a question; Ctrl-D leaves.`);

async function listen() {
  for await (const message of subscription) console.log(`${message.sender}: ${message.text}`);
}
const listening = listen();

for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() !== "") await person.send(line);
}

await subscription.close();
await listening;
