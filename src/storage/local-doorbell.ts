import type { Doorbell, Ring } from "./doorbell.ts";
import type { StorageLogger } from "./storage-adapter.ts";

/** The doorbell of a storage that one process has for itself: listeners are called at once, one after another. */
export function createLocalDoorbell(log: StorageLogger): Doorbell {
  // Replaced and never changed, so that a listener may stop itself or add others while a ring goes round.
  let listeners: readonly ((ring: Ring) => void)[] = [];
  return {
    ring(ring) {
      for (const listener of listeners) {
        try {
          listener(ring);
        } catch (error) {
          log.error({ err: error, topic: ring.topic }, "a doorbell listener threw; it stays registered");
        }
      }
    },

    listen(listener) {
      // Wrapped: the same function may listen twice, and each stop ends its own.
      const entry = (ring: Ring) => listener(ring);
      listeners = [...listeners, entry];
      return () => {
        listeners = listeners.filter((other) => other !== entry);
      };
    },
  };
}
