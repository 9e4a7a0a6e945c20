import { firstBytes } from "./first-bytes.ts";
import type { ServerKind } from "./server-kind.ts";

const durable = (fsync: boolean) =>
  fsync ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];

export const redis: ServerKind = {
  name: "redis",
  variable: "REDIS_URL",
  programs: ["redis-server"],
  folders: ["/usr/sbin"],
  aptPackage: "redis-server",
  users: ["redis", "nobody"],
  stopSignal: "SIGTERM",
  docker: {
    image: "redis:7",
    port: 6379,
    env: {},
    args: (fsync) => ["redis-server", "--save", "", ...durable(fsync)],
  },
  serve: ({ programs, port, folder, fsync }) => [
    programs[0]!,
    ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder, ...durable(fsync)],
  ],
  url: (host, port) => `redis://${host}:${port}`,
  async probe(socket) {
    socket.write("PING\r\n");
    return (await firstBytes(socket)).startsWith("+PONG");
  },
};
