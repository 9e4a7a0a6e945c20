// A worker that knows capitals. Start as many as you like: node examples/supervisor/geographer.ts geographer-2
import { AgentBus } from "agentbus/node";

const CHANNEL = "office:questions";
const CAPITALS: Readonly<Record<string, string>> = { France: "Paris", Japan: "Tokyo", Peru: "Lima" };

await using bus = new AgentBus({ url: process.env["AGENTBUS_URL"] ?? "http://127.0.0.1:7400" });
const geographer = bus.agent(process.argv[2] ?? "geographer-1", {
  kind: "ai_agent",
  capabilities: [{ name: "geography", description: "Names the capital of a country" }],
});

// Only questions that this worker was chosen for: nobody else can read those.
const subscription = geographer.subscribe({ channels: [CHANNEL], filter: { types: ["command"], directOnly: true } });
await subscription.ready();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => subscription.close());
console.log(`${geographer.id} waits for questions`);

for await (const question of subscription) {
  const country = question.text.replace(/^capital of /, "");
  await question.reply(CAPITALS[country] ?? `I do not know ${country}`);
}
