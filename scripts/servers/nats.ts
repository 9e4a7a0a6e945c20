import { firstBytes } from "./first-bytes.ts";
import type { ServerKind } from "./server-kind.ts";

export const nats: ServerKind = {
  name: "nats",
  variable: "NATS_URL",
  programs: ["nats-server"],
  folders: ["/usr/sbin"],
  aptPackage: "nats-server",
  users: ["nats", "nobody"],
  stopSignal: "SIGTERM",
  // JetStream syncs on a timer; there is no switch to sync each message in the versions that Debian ships.
  docker: { image: "nats:2", port: 4222, env: {}, args: () => ["-js"] },
  serve: ({ programs, port, folder }) => [programs[0]!, "-a", "127.0.0.1", "-p", String(port), "-js", "-sd", folder],
  url: (host, port) => `nats://${host}:${port}`,
  probe: async (socket) => (await firstBytes(socket)).startsWith("INFO "),
};
