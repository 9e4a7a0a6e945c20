import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { type ObtainedServer, obtainServer, SERVER_KINDS } from "../../scripts/servers/obtain.ts";
import type { ServerName } from "../../scripts/servers/server-kind.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where test/support/test-servers.ts asks for real servers. */
    readonly testServersUrl: string;
  }
}

const NONE = 204;

/**
 * vitest's global setup of the projects that need real servers: a small listener that obtains each server when the first
 * test file asks for it, and once for the run. A run of one file starts what that file needs and nothing else.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const obtained = new Map<ServerName, Promise<ObtainedServer | undefined>>();
  const listener = createServer((request, response) => {
    const name = request.url!.slice(1) as ServerName;
    if (!obtained.has(name)) obtained.set(name, obtain(name));
    obtained.get(name)!.then(
      (server) => response.writeHead(server === undefined ? NONE : 200).end(server?.url),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    );
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  project.provide("testServersUrl", `http://127.0.0.1:${(listener.address() as AddressInfo).port}`);

  return async () => {
    listener.closeAllConnections();
    listener.close();
    const servers = await Promise.allSettled(obtained.values());
    await Promise.all(servers.map((server) => server.status === "fulfilled" && server.value?.stop()));
  };
}

async function obtain(name: ServerName): Promise<ObtainedServer | undefined> {
  const server = await obtainServer(name);
  if (server === undefined || server.source === "environment") return server;
  // The other projects of this run find it there, instead of starting one more.
  const { variable } = SERVER_KINDS[name];
  process.env[variable] = server.url;
  return {
    ...server,
    stop() {
      delete process.env[variable];
      return server.stop();
    },
  };
}
