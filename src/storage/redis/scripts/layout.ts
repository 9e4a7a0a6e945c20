import { defineScript } from "./script.ts";

export const CLAIM_LAYOUT = defineScript(
  "claim-layout",
  "write",
  `
-- Answers the version of the layout that the keys of this prefix have. A prefix without one gets ours: of two nodes that
-- start at the same time, one writes it and both read it.
--
-- KEYS layout
-- ARGV our version
redis.call('SETNX', KEYS[1], ARGV[1])
return redis.call('GET', KEYS[1])
`,
);
