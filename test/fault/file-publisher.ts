// A process of its own for the fault tests: publishes to a file storage for as long as it lives and says on standard
// output what became of each message. Arguments: the directory, and the number of the first message.
import { setImmediate as nextTurn } from "node:timers/promises";
import { isBusError } from "../../src/core/errors.ts";
import { createFileStorage } from "../../src/storage/file/index.ts";
import { INCARNATION, NAME } from "../conformance/appending.ts";

const [directory, first] = process.argv.slice(2);
const PUBLISHERS = 8;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

try {
  const storage = await createFileStorage(
    directory!,
    {},
    {
      now: Date.now,
      randomEpoch: () => 1 + Math.floor(Math.random() * (2 ** 32 - 1)),
      log: { info() {}, warn() {}, error() {} },
    },
  );
  await storage.log.create(NAME, INCARNATION, 1);
  say("open");
  let next = Number(first);
  const publish = async (publisher: number) => {
    for (;;) {
      const id = `m-${next++}`;
      for (let isStored = false; !isStored; ) {
        try {
          const body = Buffer.alloc(100 + (next % 900), id);
          const record = {
            id,
            sender: `p-${publisher}`,
            idempotencyKey: id,
            contentDigest: 1,
            audience: null,
            timeToLiveMs: 0,
            body,
          };
          const outcome = await storage.log.append({
            name: NAME,
            incarnation: INCARNATION,
            version: 1,
            dedupWindowMs: 120_000,
            records: [record],
          });
          if (outcome.kind !== "appended") throw new Error(JSON.stringify(outcome));
          const { sequence, epoch } = outcome.entries[0]!;
          say(`ack ${id} ${sequence} ${epoch}`);
          isStored = true;
        } catch (error) {
          if (!isBusError(error)) throw error;
          say(`failed ${error.reason} ${storage.problem() === undefined ? "well" : "ill"}`);
          await nextTurn();
        }
      }
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, (_, n) => publish(n)));
} catch (error) {
  say(`refused ${isBusError(error) ? `${error.reason} ${error.message}` : String(error)}`);
  process.exitCode = 1;
}
