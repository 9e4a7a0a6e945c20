import { BusError } from "../../core/errors.ts";
import type { ChannelGap } from "../../core/message-codec.ts";

/** What a reader gets that would rather fail than miss something. */
export function gapError({ name, first, last, cause }: ChannelGap): BusError {
  const range = last === 0 ? `from ${first} on` : `${first} to ${last}`;
  return new BusError("GAP", `${name.key}: messages ${range} cannot be replayed (${cause}) and on_gap is FAIL`);
}
