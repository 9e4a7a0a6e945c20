import { openBus, type TestBus, type TestBusOptions } from "./bus-fixture.ts";
import { createSharedBackend, type SharedBackend } from "./shared-backend.ts";

export interface TwoNodes {
  readonly backend: SharedBackend;
  readonly a: TestBus;
  readonly b: TestBus;
  /** Everything that can happen without time passing has happened on both. */
  settle(): Promise<void>;
  /** Time passes in steps, so that what is asked for is answered in between. */
  pass(ms: number): Promise<void>;
}

const STEP_MS = 250;

/** Two whole buses on one backend. */
export async function openTwo(
  backend: SharedBackend = createSharedBackend(),
  options: TestBusOptions = {},
): Promise<TwoNodes> {
  const a = await openBus({ ...options, backend, nodeId: "a" });
  const b = await openBus({ ...options, backend, nodeId: "b" });
  const settle = async () => {
    // What one does may give the other something to do.
    for (const node of [a, b, a, b]) await node.settle();
  };
  return {
    backend,
    a,
    b,
    settle,
    async pass(ms) {
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        backend.clock.advance(STEP_MS);
        await settle();
      }
    },
  };
}
