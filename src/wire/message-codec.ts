import type { Limits } from "../core/bus-options.ts";
import type { MessageCodec } from "../core/message-codec.ts";
import { encodeDelivery } from "./encode-delivery.ts";
import { encodeBodies, StampBytes, sealEntries } from "./encode-message.ts";
import { readFacets } from "./read-facets.ts";
import { scanMessage } from "./scan-message.ts";
import { Slab } from "./slab.ts";

export function createMessageCodec(limits: Limits): MessageCodec {
  const stamps = new StampBytes();
  // Apart, since they live for different times: until stored, while in a tail, until sent.
  const bodies = new Slab();
  const tails = new Slab();
  const frames = new Slab();
  return {
    scan: (bytes) => scanMessage(bytes, limits),
    encode: (drafts, hopCounts, { name, sender, newId }) =>
      encodeBodies(drafts, hopCounts, { shared: stamps.of(name, sender), newId }, limits.messageBytes, bodies),
    seal: (entries) => sealEntries(entries, tails),
    facets: readFacets,
    frame: (delivery) => encodeDelivery(delivery, frames),
  };
}
