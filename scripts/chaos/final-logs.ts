import { Code, ConnectError } from "@connectrpc/connect";
import { digestOf, type Fetched, type LogRecord, type Place, parsePlace } from "../../test/support/history.ts";
import type { WireClients } from "../../test/support/wire-clients.ts";
import type { Recorder } from "./recorder.ts";
import { pauseBeforeRetry } from "./retry.ts";

/** So long after the last fault, all that is deliverable is delivered. */
const RECOVERED_MS = 10_000;

/** Reads a whole channel as one agent sees it, writes that down, and answers where its head is. */
export async function recordFinalLog(
  history: Recorder,
  clients: WireClients,
  agent: string,
  key: string,
): Promise<Place> {
  const { fetched, end } = await fetchLog(clients, agent, key);
  history.record(fetched);
  return end;
}

/** Reads a whole channel as one agent sees it from one node. */
export async function fetchLog(
  { bus, rooms }: WireClients,
  agent: string,
  key: string,
): Promise<{ readonly fetched: Fetched; readonly end: Place }> {
  const [room, channel] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
  const entries: LogRecord[] = [];
  let position = "";
  for (let caughtUp = false; !caughtUp; ) {
    const start = position === "" ? {} : { start: { case: "position" as const, value: position } };
    const response = await servedInTime(() =>
      bus.fetch({ agentId: agent, room, channel, maxMessages: 1_000, ...start }),
    );
    for (const message of response.messages) {
      const { epoch, sequence, id, sender, payload, acceptTime } = message;
      const acceptedAtMs = Number(acceptTime!.seconds) * 1_000 + acceptTime!.nanos / 1e6;
      const digest = digestOf(payload.case === undefined ? "" : payload.value);
      entries.push({ epoch, sequence: Number(sequence), id, sender, digest, acceptedAtMs });
    }
    if (response.gaps.length > 0) throw new Error(`${key}: ${response.gaps.length} gaps in a log that nobody damaged`);
    ({ position, caughtUp } = response);
  }
  const place = parsePlace(position);
  const head = place.sequence;
  // An inbox is not listed; the campaign stays far below what retention keeps.
  const floor = room === "_inbox" ? 1 : Number((await rooms.getChannel({ room, channel })).channel!.firstSequence);
  return { fetched: { kind: "fetched", agent, channel: key, floor, head, entries }, end: place };
}

/** A node may still be on its way back to its storage: it has as long as the promise gives it once faults have stopped. */
async function servedInTime<T>(call: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + RECOVERED_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.Unavailable || performance.now() > deadline)
        throw error;
      await pauseBeforeRetry();
    }
  }
}
