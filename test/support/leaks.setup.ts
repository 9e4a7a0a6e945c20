import { afterAll } from "vitest";
import { endLeftovers } from "./bus-process.ts";

// Registered before any hook of the test file, so it runs behind them all.
afterAll(async () => {
  const leftovers = await endLeftovers();
  if (leftovers.length > 0) throw new Error(`the test file left servers running (killed): pid ${leftovers.join(", ")}`);
});
