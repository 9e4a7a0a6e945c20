import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_LIFE } from "./lua-life.ts";
import { LUA_STATE } from "./lua-state.ts";
import { defineScript } from "./script.ts";

export const RENEW_EPOCH = defineScript(
  "renew-epoch",
  "write",
  `
-- Adds a link with a new epoch from head + 1 on. It also covers a change of the server's life up to now.
--
-- KEYS log, stream
-- ARGV epoch candidate
-- Answers the state, or nothing when there is no log.
`,
  LUA_CLOCK,
  LUA_LIFE,
  LUA_STATE,
  `
local held = redis.call('HMGET', KEYS[1], 'head', 'links', 'linkCount')
if not held[1] then return false end
drop_beyond(KEYS[2], tonumber(held[1]))
local links, count, epoch = with_link(held[2], tonumber(held[3]), ARGV[1], tonumber(held[1]) + 1)
redis.call('HSET', KEYS[1], 'links', links, 'linkCount', int(count), 'epoch', int(epoch), 'life', life())
return state(KEYS[1])
`,
);
