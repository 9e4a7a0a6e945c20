import { randomBytes } from "node:crypto";
import type { StorageAdapter, StorageEnvironment } from "../../src/storage/storage-adapter.ts";
import { openProxiedUrl } from "../support/proxied-url.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";

/** How an adapter opens a bus on a server, and removes it. */
export interface ServedStorage {
  node(url: string, prefix: string, environment: StorageEnvironment): Promise<StorageAdapter>;
  remove(url: string, prefix: string): Promise<void>;
}

/** For whatever a node asks of a server that is there, and may be slow: a suite hands over a thousand calls at once. */
export const PATIENT = { timeoutMs: 60_000, connectTimeoutMs: 60_000 };

/** Two nodes of a new bus on the server at `url`; the way of the first one leads through a proxy. */
export function onServer(url: string, { node, remove }: ServedStorage): OpenStorage {
  return async () => {
    const { environment: local, advance } = testEnvironment();
    const environment = { ...local, storeClock: local.now };
    const prefix = `test_${randomBytes(6).toString("hex")}`;
    const proxied = await openProxiedUrl(url);
    // Both at once: one of them makes the tables, the other waits or finds them made.
    const [first, other] = await Promise.all([node(proxied.url, prefix, environment), node(url, prefix, environment)]);
    let newest = first;
    return {
      storage: first,
      other,
      advance,
      cutOff: proxied.cutOff,
      async reopen() {
        await newest.close();
        newest = await node(proxied.url, prefix, environment);
        return newest;
      },
      async dispose() {
        await Promise.all([newest.close(), other.close()]);
        await proxied.proxy.close();
        await remove(url, prefix);
      },
    };
  };
}
