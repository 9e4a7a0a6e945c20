import { once } from "node:events";
import net from "node:net";

const HOST = "127.0.0.1";
/**
 * Below the ports that systems give to whoever asks for any: Linux begins at 32,768. The end leaves room for the nodes of
 * a Redis cluster, which listen on their port + 10,000, too.
 */
const FIRST = 10_000;
const SLOTS = 250;
const PORTS_IN_SLOT = 40;

let newest = Math.floor(Math.random() * PORTS_IN_SLOT);

/**
 * A port of 127.0.0.1 for a server that may be away for a while and come back: nobody who asks the system for any port
 * gets it meanwhile, and no connection goes out from it. Processes choose from ports of their own, in turn. Throws when
 * all of them are taken.
 */
export async function lastingPort(): Promise<number> {
  const first = FIRST + (process.pid % SLOTS) * PORTS_IN_SLOT;
  for (let tries = 0; tries < PORTS_IN_SLOT; tries++) {
    newest = (newest + 1) % PORTS_IN_SLOT;
    const port = first + newest; // callers that come meanwhile go on from here
    if (await isFree(port)) return port;
  }
  throw new Error(`all ports from ${first} to ${first + PORTS_IN_SLOT - 1} are taken`);
}

async function isFree(port: number): Promise<boolean> {
  const server = net.createServer();
  try {
    await once(server.listen(port, HOST), "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
