import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_RECORDS } from "./lua-records.ts";
import { defineScript } from "./script.ts";

export const COUNT_RECORDS = defineScript(
  "count-records",
  "free",
  `
-- Removes some of what has expired in a kind, and answers how many records a parent has, and 1 when there may be more to
-- remove: the count is exact when there is not.
--
-- KEYS records, index, counts, expiry
-- ARGV clock, parent
`,
  LUA_CLOCK,
  LUA_RECORDS,
  `
local has_more = purge(now(ARGV[1]), 500)
return { tonumber(redis.call('HGET', counts, ARGV[2]) or 0), has_more and 1 or 0 }
`,
);
