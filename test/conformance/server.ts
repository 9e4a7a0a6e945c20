/**
 * How the conformance test of a shared storage gets its real server. The whole file of an adapter looks like this:
 *
 *   const open = (server: string) => onServer(server, { node: ... opens the storage ..., remove: ... drops its data ... });
 *
 *   await describeWithServer("redis", (url) => {
 *     describeMessageLog("S1-4.1c redis", open(url));
 *     describeDirectory("S1-4.1c redis", open(url));
 *     describeDoorbell("S1-4.1c redis", open(url));
 *     describeRelay("S1-4.1c redis", open(url));
 *     describeShared("S1-4.1c redis", open(url));
 *   });
 *
 * `npx vitest run test/conformance/redis.test.ts` starts a Redis (from PATH, /usr/sbin, /usr/lib/postgresql, Docker, or
 * apt-get as root) when REDIS_URL names none, and no other server; it ends with the run. One server serves all test
 * files of a run at the same time, so `open` takes a new prefix each time and `dispose` drops what has that prefix. Without
 * a server the file shows one skipped test; with AGENTBUS_TEST_REQUIRE=1 it fails.
 *
 * onServer (served-storage.ts) opens two nodes of a new bus, the first one through a proxy. Tests of faults start a server
 * of their own with test/support/server-process.ts.
 */
export { describeWithServer, testServerUrl } from "../support/test-servers.ts";
