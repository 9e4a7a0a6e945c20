import { BusError } from "../../core/errors.ts";
import type { LogEntry } from "../../core/message.ts";
import { quote } from "../../core/names.ts";
import type { ChannelView } from "../directory/registry.ts";
import type { Hub } from "./hub.ts";

/** Messages of one id that are looked at for one reader: anybody may publish under any id, as often as rates allow. */
export const MAX_OF_ONE_ID = 100;

/**
 * The oldest message of an id that a reader is shown, among the first 100 that have it: somebody else's private message
 * of the same id hides nothing. Undefined: there is none. Throws DATA_DAMAGED when what may be it cannot be read.
 */
export async function findById(
  hub: Pick<Hub, "read">,
  view: ChannelView,
  id: string,
  isShown: (entry: LogEntry) => boolean,
): Promise<LogEntry | undefined> {
  let after = 0;
  for (let left = MAX_OF_ONE_ID; left > 0; ) {
    const found = (await view.log.findId(view.name, id, after)).slice(0, left);
    if (found.length === 0) return undefined;
    for (const sequence of found) {
      const entry = await entryAt(hub, view, sequence);
      if (entry?.id === id && isShown(entry)) return entry;
    }
    left -= found.length;
    after = found.at(-1)!;
  }
  return undefined;
}

/** Undefined: it was trimmed, or there never was one. Throws DATA_DAMAGED. */
export async function entryAt(
  hub: Pick<Hub, "read">,
  view: ChannelView,
  sequence: number,
): Promise<LogEntry | undefined> {
  const { entries, damaged } = await hub.read(view, {
    from: sequence - 1,
    backward: false,
    maxEntries: 1,
    maxBytes: 1,
  });
  if (damaged.some(({ first, last }) => first <= sequence && sequence <= last)) {
    throw new BusError(
      "DATA_DAMAGED",
      `message ${sequence} of ${quote(view.name.key)}: the stored bytes fail their checksum`,
    );
  }
  const [entry] = entries;
  return entry?.sequence === sequence ? entry : undefined;
}
