import { BusError } from "../../core/errors.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisConnection } from "./redis-connection.ts";
import { toBusError } from "./redis-errors.ts";
import { CLAIM_LAYOUT, RAISE_LAYOUT } from "./scripts/layout.ts";
import { SEAL_RECORDS } from "./scripts/seal-records.ts";

/**
 * How the keys are laid out. A change that older programs do not understand takes the next number.
 *
 * 2: records of the directory have a check.
 */
const LAYOUT_VERSION = 2;
const SCAN_COUNT = "1000";

/**
 * Sees to it that the keys of this prefix have our layout: a prefix without any gets it, an older one is brought up to date,
 * in steps that may be done twice, by several nodes at once. Answers the versions that were applied. Throws an Error when a
 * newer program has been here.
 */
export async function prepareLayout(
  connection: RedisConnection,
  keys: RedisKeys,
  where: string,
): Promise<readonly number[]> {
  const claimed = String(await connection.run(CLAIM_LAYOUT, [keys.layout], [LAYOUT_VERSION]));
  const version = Number(claimed);
  if (version === LAYOUT_VERSION) return [];
  const at = `${where}, key ${keys.layout}`;
  if (version > LAYOUT_VERSION) {
    throw new Error(`${at}: its layout ${version} is of a newer agentbus; this one knows up to ${LAYOUT_VERSION}`);
  }
  if (version !== 1)
    throw new BusError("STORAGE_UNAVAILABLE", `${at}: ${JSON.stringify(claimed)} is no version of a layout`);
  await sealRecords(connection, keys);
  await connection.run(RAISE_LAYOUT, [keys.layout], [1, LAYOUT_VERSION]);
  return [LAYOUT_VERSION];
}

/** From layout 1 to 2. Nobody has written down which kinds of records there are: their keys are looked for. */
async function sealRecords(connection: RedisConnection, keys: RedisKeys): Promise<void> {
  for (const server of connection.masters) {
    for (let cursor = "0"; ; ) {
      const [next, found] = await server
        .scan(cursor, "MATCH", keys.recordsOfAnyKind, "COUNT", SCAN_COUNT)
        .catch((error) => {
          throw toBusError(error);
        });
      for (const records of found) {
        for (let at = "0"; ; ) {
          at = String(await connection.run(SEAL_RECORDS, [records], [at]));
          if (at === "0") break;
        }
      }
      if (next === "0") break;
      cursor = next;
    }
  }
}
