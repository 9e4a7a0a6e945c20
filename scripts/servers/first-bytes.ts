import { once } from "node:events";
import type { Socket } from "node:net";

/** The first thing a server says, one byte a character. Rejects when it closes without a word. */
export async function firstBytes(socket: Socket): Promise<string> {
  const gone = new AbortController();
  socket.once("close", () => gone.abort(new Error("the server closed the connection")));
  const [chunk] = (await once(socket, "data", { signal: gone.signal })) as [Buffer];
  return chunk.toString("latin1");
}
