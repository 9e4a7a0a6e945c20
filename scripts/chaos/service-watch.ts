/** Who was served when, and how long it took after a fault: fed by the clients of a run. */
export class ServiceWatch {
  /** Messages that were acknowledged. */
  acked = 0;
  /** From the loss of a node until a reader's stream was open elsewhere. */
  readonly resumes: { readonly client: string; readonly ms: number }[] = [];
  /** Newest proof of service by client, in milliseconds since 1970. */
  readonly #servedAtMs = new Map<string, number>();
  readonly #cutAtMs = new Map<string, number>();
  #nodeLostAtMs: number | undefined;

  /** From now on this client is waited for. */
  expect(client: string): void {
    this.#servedAtMs.set(client, 0);
  }

  /** A producer was acknowledged something. */
  onAcked(client: string, messages: number, atMs = Date.now()): void {
    this.acked += messages;
    this.#serve(client, atMs);
  }

  /** A reader was shown a message that was accepted then: it is not behind that time. */
  onRead(client: string, acceptedAtMs: number): void {
    this.#serve(client, acceptedAtMs);
  }

  onCut(client: string, atMs = Date.now()): void {
    if (!this.#cutAtMs.has(client)) this.#cutAtMs.set(client, atMs);
  }

  onOpened(client: string, atMs = Date.now()): void {
    const cutAtMs = this.#cutAtMs.get(client);
    this.#cutAtMs.delete(client);
    const lostAtMs = this.#nodeLostAtMs;
    if (cutAtMs === undefined || lostAtMs === undefined || cutAtMs < lostAtMs) return;
    this.resumes.push({ client, ms: atMs - lostAtMs });
  }

  /** A node is killed while nothing else is wrong: cuts from now on are its doing, until `nodeIsBack`. */
  nodeIsLost(atMs = Date.now()): void {
    this.#nodeLostAtMs = atMs;
  }
  nodeIsBack(): void {
    this.#nodeLostAtMs = undefined;
  }

  /** Clients that were not served since. */
  behind(sinceMs: number): readonly string[] {
    return [...this.#servedAtMs].flatMap(([client, atMs]) => (atMs < sinceMs ? [client] : []));
  }

  #serve(client: string, atMs: number): void {
    const known = this.#servedAtMs.get(client);
    if (known !== undefined && known < atMs) this.#servedAtMs.set(client, atMs);
  }
}

/** The value that this share of the values does not exceed; undefined: there are none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}
