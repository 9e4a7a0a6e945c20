import type { Config } from "./load-config.ts";

interface TogetherFault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** What is wrong with values that are each right by themselves. */
export function checkTogether(config: Config): readonly TogetherFault[] {
  return [...checkServer(config), ...checkApiKeys(config), ...checkLimits(config), ...checkRooms(config)];
}

/** Whether an address to listen on is reached from this machine alone. */
export function isLoopbackAddress(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

function* checkServer({ server, auth }: Config): Iterable<TogetherFault> {
  if (!isLoopbackAddress(server.host) && auth.apiKeys.length === 0 && !server.unsafePublic) {
    yield {
      path: ["server", "host"],
      message: `${JSON.stringify(server.host)} is reached from other machines, where anybody could act for every agent: configure auth.apiKeys, or set server.unsafePublic to true if the network keeps strangers out`,
    };
  }
  if (server.tls?.requestClientCert === true && server.tls.ca === undefined) {
    yield { path: ["server", "tls", "requestClientCert"], message: "needs server.tls.ca to check certificates with" };
  }
}

function* checkApiKeys({ auth }: Config): Iterable<TogetherFault> {
  yield* doubles(
    auth.apiKeys,
    (key) => key.name,
    (index) => ["auth", "apiKeys", index, "name"],
  );
  yield* doubles(
    auth.apiKeys,
    (key) => key.sha256,
    (index) => ["auth", "apiKeys", index, "sha256"],
    "the hash",
  );
}

function* checkLimits({ limits, channelDefaults }: Config): Iterable<TogetherFault> {
  const least = (key: "requestBytes" | "totalTailBytes", other: "messageBytes" | "tailBytes") =>
    limits[key] < limits[other]
      ? [{ path: ["limits", key], message: `must be at least limits.${other}, which is ${limits[other]}` }]
      : [];
  yield* least("requestBytes", "messageBytes");
  yield* least("totalTailBytes", "tailBytes");
  if (limits.implicitAgents > limits.agents) {
    yield { path: ["limits", "implicitAgents"], message: `must be at most limits.agents, which is ${limits.agents}` };
  }
  if (channelDefaults.maxMembers !== undefined && channelDefaults.maxMembers > limits.maxMembers) {
    yield {
      path: ["channelDefaults", "maxMembers"],
      message: `must be at most limits.maxMembers, which is ${limits.maxMembers}`,
    };
  }
}

function* checkRooms({ rooms }: Config): Iterable<TogetherFault> {
  yield* doubles(
    rooms,
    (room) => room.room,
    (index) => ["rooms", index, "room"],
  );
  for (const [at, { channels }] of rooms.entries()) {
    yield* doubles(
      channels,
      (channel) => channel.channel,
      (index) => ["rooms", at, "channels", index, "channel"],
    );
  }
}

function* doubles<T>(
  items: readonly T[],
  key: (item: T) => string,
  path: (index: number) => readonly PropertyKey[],
  shown?: string,
): Iterable<TogetherFault> {
  const seen = new Set<string>();
  for (const [index, item] of items.entries()) {
    if (seen.has(key(item)))
      yield { path: path(index), message: `${shown ?? JSON.stringify(key(item))} is there twice` };
    seen.add(key(item));
  }
}
