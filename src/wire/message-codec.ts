import type { Limits } from "../core/bus-options.ts";
import type { MessageCodec } from "../core/message-codec.ts";
import { encodeDelivery } from "./encode-delivery.ts";
import { encodeBodies, sealEntries } from "./encode-message.ts";
import { readFacets } from "./read-facets.ts";
import { scanMessage } from "./scan-message.ts";

export function createMessageCodec(limits: Limits): MessageCodec {
  return {
    scan: (bytes) => scanMessage(bytes, limits),
    encode: (drafts, hopCounts, stamp) => encodeBodies(drafts, hopCounts, stamp, limits.messageBytes),
    seal: sealEntries,
    facets: readFacets,
    frame: encodeDelivery,
  };
}
