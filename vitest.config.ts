import { defineConfig } from "vitest/config";

const slow = { testTimeout: 60_000, hookTimeout: 60_000, setupFiles: ["test/support/leaks.setup.ts"] };

/** With real servers, each started when a test first asks for it: see test/support/test-servers.ts. */
const withServers = { ...slow, globalSetup: ["test/support/test-servers.setup.ts"] };

/** One project for each kind of test, so that `vitest run --project unit` runs one kind. */
export default defineConfig({
  test: {
    // Servers in tests are processes of their own: more workers than this would only make everything slower.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: "unit", include: ["src/**/*.test.ts", "test/support/**/*.test.ts"] } },
      { extends: true, test: { name: "sdk", include: ["sdk/typescript/test/**/*.test.ts"], ...slow } },
      { extends: true, test: { name: "ground", include: ["test/ground/**/*.test.ts"], ...slow } },
      { extends: true, test: { name: "conformance", include: ["test/conformance/**/*.test.ts"], ...withServers } },
      { extends: true, test: { name: "property", include: ["test/property/**/*.test.ts"], ...slow } },
      { extends: true, test: { name: "simulation", include: ["test/simulation/**/*.test.ts"], ...slow } },
      { extends: true, test: { name: "blackbox", include: ["test/blackbox/**/*.test.ts"], ...withServers } },
      { extends: true, test: { name: "fault", include: ["test/fault/**/*.test.ts"], ...withServers } },
      { extends: true, test: { name: "examples", include: ["examples/**/*.test.ts"], ...slow } },
    ],
  },
});
