import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_RECORDS } from "./lua-records.ts";
import { defineScript } from "./script.ts";

export const LIST_RECORDS = defineScript(
  "list-records",
  "read",
  `
-- Live records, and damaged ones, in the order of their places, from one bound to another. Looks at a bounded number of them: who asked goes
-- on where it ended when it wants more.
--
-- KEYS records, index, counts, expiry
-- ARGV clock, lower bound, upper bound (as of ZRANGEBYLEX), limit
-- Answers the place to go on behind ("": this was the end), and place, record of each.
`,
  LUA_CLOCK,
  LUA_RECORDS,
  `
local time, limit = now(ARGV[1]), tonumber(ARGV[4])
local places = redis.call('ZRANGEBYLEX', index, ARGV[2], ARGV[3], 'LIMIT', 0, limit)
local reply = { #places == limit and places[limit] or '' }
if #places == 0 then return reply end
local raws = redis.call('HMGET', records, unpack(places))
for i, place in ipairs(places) do
  local record = parse(raws[i])
  if record and (is_live(record, time) or not is_intact(place, record)) then
    reply[#reply + 1] = place
    reply[#reply + 1] = raws[i]
  end
end
return reply
`,
);
