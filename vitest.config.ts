import { defineConfig } from "vitest/config";
import { MixingSequencer } from "./scripts/testing/sequencer.ts";

const withProcesses = { setupFiles: ["test/support/leaks.setup.ts"] };

/** With real servers, each started when a test first asks for it: see test/support/test-servers.ts. */
const withServers = { ...withProcesses, globalSetup: ["test/support/test-servers.setup.ts"] };

/** One project for each kind of test, so that `vitest run --project unit` runs one kind. */
export default defineConfig({
  test: {
    // One more than the machines that run the tests have cores: most files wait for servers half of their time. Those
    // servers are processes of their own, so that more workers would only make everything slower.
    maxWorkers: 3,
    sequence: { sequencer: MixingSequencer },
    // For what hangs, in every kind of test: one that passes never comes near, however busy the machine is.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    projects: [
      { extends: true, test: { name: "unit", include: ["src/**/*.test.ts", "test/support/**/*.test.ts"] } },
      { extends: true, test: { name: "sdk", include: ["sdk/typescript/test/**/*.test.ts"], ...withProcesses } },
      { extends: true, test: { name: "ground", include: ["test/ground/**/*.test.ts"], ...withProcesses } },
      { extends: true, test: { name: "conformance", include: ["test/conformance/**/*.test.ts"], ...withServers } },
      { extends: true, test: { name: "property", include: ["test/property/**/*.test.ts"], ...withProcesses } },
      { extends: true, test: { name: "simulation", include: ["test/simulation/**/*.test.ts"], ...withProcesses } },
      { extends: true, test: { name: "blackbox", include: ["test/blackbox/**/*.test.ts"], ...withServers } },
      { extends: true, test: { name: "fault", include: ["test/fault/**/*.test.ts"], ...withServers } },
      { extends: true, test: { name: "examples", include: ["examples/**/*.test.ts"], ...withProcesses } },
    ],
  },
});
