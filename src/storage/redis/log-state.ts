import type { EpochLink } from "../../core/epoch-chain.ts";
import type { LogState } from "../message-log.ts";

/** Values of STATE_FIELDS (scripts/lua-state.ts), all null when there is no log. */
export type StateReply = readonly (Buffer | null)[];

/** Undefined: there is no log. */
export function parseState(reply: StateReply | null): LogState | undefined {
  if (reply === null || reply[0] === null || reply[0] === undefined) return undefined;
  const [incarnation, version, head, floor, links, bytes, trimmed] = reply.map((value) => String(value)) as [
    ...[string, string, string, string, string, string, string],
  ];
  return {
    incarnation,
    version: Number(version),
    head: Number(head),
    floor: Number(floor),
    links: parseLinks(links),
    sizeBytes: Number(bytes) - Number(trimmed),
  };
}

/** "epoch:first,epoch:first" */
function parseLinks(text: string): readonly EpochLink[] {
  return text.split(",").map((link) => {
    const colon = link.indexOf(":");
    return { epoch: Number(link.slice(0, colon)), first: Number(link.slice(colon + 1)) };
  });
}
