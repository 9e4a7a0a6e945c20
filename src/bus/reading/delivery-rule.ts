import type { EntryTest } from "../../core/filter.ts";
import { type Facets, type LogEntry, maySee } from "../../core/message.ts";
import type { MessageCodec } from "../../core/message-codec.ts";

export interface DeliveryRuleSettings {
  readonly agentId: string;
  readonly test: EntryTest | undefined;
  /** Its own messages, too. */
  readonly echo: boolean;
}

/** Which entries of a log one reader gets. */
export class DeliveryRule {
  readonly #settings: DeliveryRuleSettings;
  readonly #codec: Pick<MessageCodec, "facets">;

  constructor(settings: DeliveryRuleSettings, codec: Pick<MessageCodec, "facets">) {
    this.#settings = settings;
    this.#codec = codec;
  }

  /** Whether it may see the entry, wants it, and it is not too late. */
  delivers(entry: LogEntry, nowMs: number): boolean {
    const { agentId, test, echo } = this.#settings;
    if (!maySee(entry, agentId)) return false;
    if (!echo && entry.sender === agentId) return false;
    if (entry.expiresAtMs !== 0 && entry.expiresAtMs <= nowMs) return false;
    if (test === undefined) return true;
    let facets: Facets | undefined;
    return test(entry, () => {
      facets ??= this.#codec.facets(entry.body);
      return facets;
    });
  }
}
