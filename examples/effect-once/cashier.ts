// Books each order once, however often this program is killed.
// Usage: node examples/effect-once/cashier.ts ledger.db
import { DatabaseSync } from "node:sqlite";
import { AgentBus, type Message } from "agentbus/node";

const CHANNEL = "shop:orders";

interface Order {
  readonly id: string;
  readonly customer: string;
  readonly cents: number;
}

using ledger = new DatabaseSync(process.argv[2] ?? "ledger.db");
ledger.exec(`
  CREATE TABLE IF NOT EXISTS booking (order_id TEXT PRIMARY KEY, customer TEXT NOT NULL, cents INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS progress (channel TEXT PRIMARY KEY, position TEXT NOT NULL);
`);
const book = ledger.prepare("INSERT INTO booking VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
const remember = ledger.prepare("INSERT OR REPLACE INTO progress VALUES (?, ?)");
const saved = ledger.prepare("SELECT position FROM progress").all() as { position: string }[];

await using bus = new AgentBus({ url: process.env["AGENTBUS_URL"] ?? "http://127.0.0.1:7400" });
const orders = bus.agent("cashier").subscribe({
  channels: [CHANNEL],
  start: saved.length === 0 ? "earliest" : { resume: saved.map(({ position }) => position) },
});
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => orders.close());

for await (const message of orders) {
  bookOnce(message);
  console.log(`booked ${message.json<Order>().id}`);
}

/** The effect and how far was read are one transaction: after a crash both are there, or neither. */
function bookOnce(message: Message): void {
  const { id, customer, cents } = message.json<Order>();
  ledger.exec("BEGIN");
  try {
    // The order's id is the key here, too: what was published twice, long apart, is still booked once.
    book.run(id, customer, cents);
    remember.run(message.address, message.position);
    ledger.exec("COMMIT");
  } catch (error) {
    ledger.exec("ROLLBACK");
    throw error;
  }
}
