import { LUA_BLOCKS } from "./lua-blocks.ts";
import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_STATE } from "./lua-state.ts";
import { defineScript } from "./script.ts";

/** Stream entries that one step removes at most, so that it never holds the server up. */
export const TRIM_STEP = 1_000;

export const TRIM = defineScript(
  "trim",
  "free",
  `
-- Raises the floor to what the retention leaves, exactly, and removes blocks that lie below it: some of them in one
-- step, and never the part of a block. What lies below the floor is not read any more, whether it is removed or not.
-- Looks at a few blocks (by halves), however long the log is.
--
-- KEYS log, stream
-- ARGV clock, maxAgeMs, maxMessages, maxBytes (0: no limit)
-- Answers the state and how many blocks were removed, or nothing when there is no log.
`,
  LUA_CLOCK,
  LUA_STATE,
  LUA_BLOCKS,
  `
local log, stream = KEYS[1], KEYS[2]
local held = redis.call('HMGET', log, 'head', 'floor', 'bytes')
if not held[1] then return false end
local head, floor, bytes = tonumber(held[1]), tonumber(held[2]), tonumber(held[3])
local max_age, max_messages, max_bytes = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local target = floor

if max_age > 0 and target <= head then
  target = first_with(stream, 'time', now(ARGV[1]) - max_age, target, head)
end
if max_messages > 0 then
  target = math.max(target, math.min(head - max_messages + 1, head))
end
if max_bytes > 0 and target < head then
  local spare = bytes - max_bytes
  local found = first_with(stream, 'offset', spare, target, head)
  -- The block in front of it may have its end within the limit.
  if found > target then
    local block = block_at(stream, found - 1)
    if block and block.first < found then
      found = walk(block, function(sequence, before) return sequence >= target and before >= spare end)
    end
  end
  target = math.max(target, math.min(found, head))
end

if target > floor then
  local trimmed = bytes
  local block = target <= head and block_at(stream, target)
  if block then
    local _, before = walk(block, function(sequence) return sequence >= target end)
    trimmed = before
  end
  redis.call('HSET', log, 'floor', int(target), 'trimmed', int(trimmed))
end
local removed = redis.call('XTRIM', stream, 'MINID', '~', int(target) .. '-0', 'LIMIT', ${String(TRIM_STEP)})
return { state(log), removed }
`,
);
