// An agent that answers each question with a hypothesis. Where `imagine` is, an LLM would be asked.
import { AgentBus, type Message } from "agentbus/node";

const ROOM = "science:explore";

await using bus = new AgentBus({ url: process.env["AGENTBUS_URL"] ?? "http://127.0.0.1:7400" });
const explorer = bus.agent("explorer", {
  kind: "ai_agent",
  description: "Answers questions with hypotheses",
});
await explorer.join(ROOM);

const subscription = explorer.subscribe({ channels: [ROOM] });
await subscription.ready();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => subscription.close());
console.log(`explorer listens in ${ROOM}`);

for await (const message of subscription) {
  if (isQuestionOfSomebody(message)) await message.reply(imagine(message.text), { name: "Hypothesis" });
}

/** What led to a message is counted by the bus: 0 is a first word, and never the answer of an agent. */
function isQuestionOfSomebody(message: Message): boolean {
  return message.hopCount === 0 && message.text.trim().endsWith("?");
}

function imagine(question: string): string {
  const subject = question
    .trim()
    .slice(0, -1)
    .replace(/^(why|how|what|when|where)\s+(is|are|do|does)\s+/i, "");
  return `My hypothesis: it is in the nature of "${subject}" that more is hidden than shown.`;
}
