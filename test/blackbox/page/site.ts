import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const ENTRY = fileURLToPath(import.meta.resolve("agentbus"));
const PAGE = `<!doctype html><meta charset="utf-8"><title>page</title><link rel="icon" href="data:,">
<script type="module">import * as agentbus from "/agentbus.js"; globalThis.agentbus = agentbus;</script>`;

/** A web site of its own origin whose page has the SDK as `agentbus`, bundled as a front-end's build does it. */
export interface Site {
  /** For `server.allowedOrigins`. */
  readonly origin: string;
  close(): void;
}

export async function serveSite(): Promise<Site> {
  const script = await bundle();
  const server = createServer((request, response) => {
    const isScript = request.url === "/agentbus.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? script : PAGE);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function bundle(): Promise<string> {
  const build = await rolldown({ input: ENTRY, platform: "browser", logLevel: "warn" });
  try {
    const { output } = await build.generate({ format: "esm", minify: true, codeSplitting: false });
    return output[0].code;
  } finally {
    await build.close();
  }
}
