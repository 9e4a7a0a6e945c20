import { LUA_CLOCK } from "./lua-clock.ts";
import { defineScript } from "./script.ts";

export const FENCE = defineScript(
  "fence",
  "write",
  `
-- Raises the version that appends must name, and remembers where the log ended then. Asked again for the same version it
-- answers the same.
--
-- KEYS log
-- ARGV incarnation, version
-- Answers the last sequence stored under an older version, or nothing when there is no log of this incarnation.
`,
  LUA_CLOCK,
  `
local held = redis.call('HMGET', KEYS[1], 'incarnation', 'version', 'head', 'fenced')
if held[1] ~= ARGV[1] then return false end
if tonumber(ARGV[2]) <= tonumber(held[2]) then return tonumber(held[4]) end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'fenced', held[3])
return tonumber(held[3])
`,
);
