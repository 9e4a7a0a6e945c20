import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SubscribeRequestSchema, SubscribeResponse } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import type { Message } from "../../../gen/agentbus/v1/message_pb.ts";
import { waitUntil } from "../../support/wait.ts";
import type { WireClients } from "../../support/wire-clients.ts";

/** A subscription that is read all the time, over the wire and without an SDK: it never reconnects by itself. */
export interface Followed {
  readonly messages: readonly Message[];
  readonly texts: readonly string[];
  readonly responses: readonly SubscribeResponse[];
  /** The newest position of each channel. */
  readonly positions: readonly string[];
  /** Why it is over; undefined: it is open. */
  readonly over: string | undefined;
  opened(): Promise<void>;
  /** When so many messages have come. */
  count(messages: number, timeoutMs?: number): Promise<void>;
  stop(): void;
}

export function follow(clients: WireClients, request: MessageInitShape<typeof SubscribeRequestSchema>): Followed {
  const responses: SubscribeResponse[] = [];
  const positions = new Map<string, string>();
  const leaving = new AbortController();
  let over: string | undefined;
  void (async () => {
    for await (const response of clients.bus.subscribe(request, { signal: leaving.signal })) {
      responses.push(response);
      for (const position of response.positions) positions.set(position.slice(0, position.lastIndexOf("@")), position);
    }
  })().then(
    () => {
      over = `ended: ${responses.at(-1)?.end?.reason ?? "cut"}`;
    },
    (error: unknown) => {
      over = String(error);
    },
  );
  const messages = () => responses.flatMap((response) => response.messages);
  const text = (message: Message) => (message.payload.case === "text" ? message.payload.value : "");
  return {
    responses,
    get messages() {
      return messages();
    },
    get texts() {
      return messages().map(text);
    },
    get positions() {
      return [...positions.values()];
    },
    get over() {
      return over;
    },
    async opened() {
      await waitUntil(() => responses.some((response) => response.opened !== undefined), {
        what: () => `the stream to open (${over ?? "no answer"})`,
      });
    },
    async count(wanted, timeoutMs = 60_000) {
      const what = () => `${wanted} messages; ${messages().length} came (${over ?? "still open"})`;
      await waitUntil(() => messages().length >= wanted, { timeoutMs, what });
    },
    stop: () => leaving.abort(),
  };
}
