import { LUA_BLOCKS } from "./lua-blocks.ts";
import { LUA_CLOCK } from "./lua-clock.ts";
import { defineScript } from "./script.ts";

export const FIND_TIME = defineScript(
  "find-time",
  "read",
  `
-- The first retained sequence accepted at or after a time; head + 1 when there is none, 1 when there is no log.
--
-- KEYS log, stream
-- ARGV time
`,
  LUA_CLOCK,
  LUA_BLOCKS,
  `
local held = redis.call('HMGET', KEYS[1], 'head', 'floor')
if not held[1] then return 1 end
return first_with(KEYS[2], 'time', tonumber(ARGV[1]), tonumber(held[2]), tonumber(held[1]))
`,
);
