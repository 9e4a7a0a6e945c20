// Takes a task apart, hands each part to one agent that can do it, and puts the answers together.
// Usage: node examples/supervisor/supervisor.ts
import { AgentBus, isBusError } from "agentbus/node";

const CHANNEL = "office:questions";

/** What an LLM would make of the task. */
const PARTS = [
  { capability: "geography", question: "capital of France" },
  { capability: "arithmetic", question: "12 * (3 + 4)" },
  { capability: "geography", question: "capital of Japan" },
  { capability: "astrology", question: "will it rain on Tuesday" },
] as const;

await using bus = new AgentBus({ url: process.env["AGENTBUS_URL"] ?? "http://127.0.0.1:7400" });
const supervisor = bus.agent("supervisor", { kind: "ai_agent", description: "Hands out questions" });

const answers = await Promise.all(PARTS.map(({ capability, question }) => handOut(capability, question)));
for (const [i, { question }] of PARTS.entries()) console.log(`${question}: ${answers[i]}`);

/** Asks one agent with the capability: those online first, and each in its turn. */
async function handOut(capability: string, question: string): Promise<string> {
  try {
    const answer = await supervisor.ask(question, {
      channel: CHANNEL,
      to: { select: { capabilities: [capability], limit: 1 } },
      type: "command",
      name: capability,
      timeoutMs: 20_000,
    });
    return `${answer.text} (${answer.sender})`;
  } catch (error) {
    if (isBusError(error, "NO_CANDIDATE")) return `nobody here knows ${capability}`;
    if (isBusError(error, "DEADLINE")) return "no answer in time";
    throw error;
  }
}
