import type { Facets, LogEntry, MessageType } from "./message.ts";

/** Chooses messages: each part that is set must hold; of a list, any. Empty lists and maps are not set. */
export interface Filter {
  readonly types: readonly MessageType[];
  readonly names: readonly string[];
  readonly senders: readonly string[];
  readonly sessionIds: readonly string[];
  readonly correlationIds: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly minPriority: number;
  readonly directOnly: boolean;
}

/** Whether an entry fits. `facets` reads the body, so it is asked only when a part of the filter needs it. */
export type EntryTest = (entry: LogEntry, facets: () => Facets) => boolean;

/** Undefined: the filter lets everything through. */
export function compileFilter(filter: Filter): EntryTest | undefined {
  const tests: EntryTest[] = [];
  const oneOf = (values: readonly string[], read: (facets: Facets) => string) => {
    if (values.length === 0) return;
    const allowed = new Set(values);
    tests.push((_, facets) => allowed.has(read(facets())));
  };
  if (filter.directOnly) tests.push((entry) => entry.audience !== null);
  if (filter.senders.length > 0) {
    const senders = new Set(filter.senders);
    tests.push((entry) => senders.has(entry.sender));
  }
  oneOf(filter.types, (facets) => facets.type);
  oneOf(filter.names, (facets) => facets.name);
  oneOf(filter.sessionIds, (facets) => facets.sessionId);
  oneOf(filter.correlationIds, (facets) => facets.correlationId);
  if (filter.minPriority > 0) tests.push((_, facets) => facets().priority >= filter.minPriority);
  const pairs = Object.entries(filter.metadata);
  if (pairs.length > 0) {
    tests.push((_, facets) => {
      const { metadata } = facets();
      return pairs.every(([key, value]) => Object.hasOwn(metadata, key) && metadata[key] === value);
    });
  }
  if (tests.length === 0) return undefined;
  return (entry, facets) => tests.every((test) => test(entry, facets));
}
