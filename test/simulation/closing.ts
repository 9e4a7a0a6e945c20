import type { Reader } from "./reader.ts";
import type { Run } from "./settling.ts";
import { LEASE_MS, type World } from "./world.ts";

const CLOSED_MS = 3 * LEASE_MS;

/** Everybody leaves; then nothing is held for anybody, and a node that closes leaves nothing behind. */
export async function closeEverything(world: World, run: Run, readers: readonly Reader[]): Promise<void> {
  readers.forEach((reader, i) => void reader.stop(i % 2 === 0));
  const open = () => world.nodes.filter(({ bus }) => (bus?.subscriptions.count ?? 0) > 0);
  if (!(await run("the end of all subscriptions", () => open().length === 0, CLOSED_MS))) {
    for (const { bus, name } of open()) world.violated(`${name} still has ${bus!.subscriptions.count} subscriptions`);
  }
  const closing = world.nodes.map(({ bus }) => bus?.close());
  let isClosed = false;
  void Promise.all(closing).then(
    () => {
      isClosed = true;
    },
    (error: unknown) => world.fail(error),
  );
  await run("the end of the nodes", () => isClosed, CLOSED_MS);
  const left = () => world.nodes.filter(({ clock, storage }) => clock.timers > 0 || storage.inUse > 0);
  if (!(await run("the end of timers and listeners", () => left().length === 0, CLOSED_MS))) {
    for (const { clock, storage, name } of left()) {
      world.violated(`${name} left ${clock.timers} timers, and ${storage.inUse} calls and listeners of its storage`);
    }
  }
}
