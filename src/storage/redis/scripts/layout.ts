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

export const RAISE_LAYOUT = defineScript(
  "raise-layout",
  "write",
  `
-- The keys of this prefix were brought from one version of the layout to another.
--
-- KEYS layout
-- ARGV old version, new version
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
return redis.call('GET', KEYS[1])
`,
);
