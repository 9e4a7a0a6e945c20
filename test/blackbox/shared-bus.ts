import { afterAll, beforeAll } from "vitest";
import { type BusProcess, type BusProcessOptions, startBus } from "../support/bus-process.ts";

/** One server for all tests of a file, started before the first and ended behind the last. */
export function useBus(options: BusProcessOptions = {}): () => BusProcess {
  let bus: BusProcess | undefined;
  beforeAll(async () => {
    bus = await startBus(options);
  });
  afterAll(async () => {
    await bus?.kill();
  });
  return () => bus!;
}

let names = 0;

/** A name that no other test of the file uses: tests share a server and must not meet in it. */
export function unique(prefix: string): string {
  return `${prefix}-${++names}`;
}
