// Sends orders. Run it again after a crash, or for no reason: each order is stored once.
// Usage: node examples/effect-once/shop.ts [how many]
import { AgentBus } from "agentbus/node";

const CHANNEL = "shop:orders";

await using bus = new AgentBus({ url: process.env["AGENTBUS_URL"] ?? "http://127.0.0.1:7400" });
const shop = bus.agent("shop");

for (let number = 1; number <= Number(process.argv[2] ?? 20); number++) {
  const order = { id: `order-${number}`, customer: number % 2 === 0 ? "ada" : "bob", cents: number * 100 };
  // The key comes from what is meant, not from the attempt: whoever sends this order again sends the same key.
  const { duplicate } = await shop.send(order, { channel: CHANNEL, type: "event", idempotencyKey: order.id });
  console.log(`${order.id} ${duplicate ? "was there already" : "stored"}`);
}
