import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_LIFE } from "./lua-life.ts";
import { LUA_STATE } from "./lua-state.ts";
import { defineScript } from "./script.ts";

export const CREATE_LOG = defineScript(
  "create-log",
  "write",
  `
-- Makes the log of an incarnation, empty, under a new epoch; it is there already: leaves it as it is. A log of an older
-- incarnation is replaced with everything in it, its idempotency keys too; a newer one is left alone. Of many callers
-- at the same time one makes it, and all are answered the same.
--
-- KEYS log, stream, keys of even generations, keys of odd generations
-- ARGV incarnation, version, epoch candidate
-- Answers the state, or nothing when the log is of a newer incarnation.
`,
  LUA_CLOCK,
  LUA_LIFE,
  LUA_STATE,
  `
-- Lua compares strings by the server's locale; incarnations are compared by their bytes.
local function is_less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local log = KEYS[1]
local present = redis.call('HGET', log, 'incarnation')
if present ~= ARGV[1] then
  if present and is_less(ARGV[1], present) then return false end
  redis.call('UNLINK', log, KEYS[2], KEYS[3], KEYS[4])
  local links, count, epoch = with_link('', 0, ARGV[3], 1)
  redis.call('HSET', log, 'incarnation', ARGV[1], 'version', ARGV[2], 'fenced', '0', 'head', '0', 'floor', '1',
    'time', '0', 'bytes', '0', 'trimmed', '0', 'life', life(), 'epoch', int(epoch), 'links', links,
    'linkCount', int(count), 'generation', '0', 'generationStart', '0', 'generationKeys', '0')
end
return state(log)
`,
);
