import { LUA_BLOCKS } from "./lua-blocks.ts";
import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_STATE } from "./lua-state.ts";
import { defineScript } from "./script.ts";

export const READ_LOG = defineScript(
  "read-log",
  "read",
  `
-- The state of a log and the blocks that hold what is asked for, both of the same moment. Blocks come whole and as they
-- are stored: who asked checks them and takes what it asked for.
--
-- KEYS log, stream
-- ARGV from (exclusive), "1" for backward, most entries, most bytes of bodies
-- Answers the state, whether the retained end of the log (in the direction of reading) was reached, and id, header,
-- records of each block in the order of reading.
`,
  LUA_CLOCK,
  LUA_STATE,
  LUA_BLOCKS,
  `
local MOST_AT_ONCE = 64

local stream = KEYS[2]
local held = state(KEYS[1])
if not held[1] then return { held, 1, {} } end
local head, floor = tonumber(held[3]), tonumber(held[4])
local backward = ARGV[2] == '1'
local at = tonumber(ARGV[1]) + (backward and -1 or 1)
if backward then at = math.min(at, head) else at = math.max(at, floor) end
local most_entries, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])

local found, entries, bytes = {}, 0, 0
local is_end = at < floor or at > head
local at_once = 1
while not is_end do
  local page
  if not backward then
    page = redis.call('XRANGE', stream, int(at) .. '-0', '+', 'COUNT', at_once)
  elseif #found == 0 then
    -- The block that holds the sequence ends at it or behind it.
    page = redis.call('XRANGE', stream, int(at) .. '-0', '+', 'COUNT', 1)
    if #page == 0 then page = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1) end
  else
    page = redis.call('XREVRANGE', stream, int(at) .. '-0', int(floor) .. '-0', 'COUNT', at_once)
  end
  if #page == 0 then is_end = true end
  for _, entry in ipairs(page) do
    local fields, last = entry[2], last_of(entry)
    local header = header_of(fields[2] or '')
    found[#found + 1] = entry[1]
    found[#found + 1] = fields[2] or ''
    found[#found + 1] = fields[4] or ''
    if header then
      -- The part of a block that was not asked for counts for nothing: rather a block too much than an entry too few.
      local is_whole
      if backward then is_whole = last <= at else is_whole = header.first >= at end
      if is_whole then
        entries = entries + header.count
        bytes = bytes + header.size
      elseif backward then
        entries = entries + at - header.first + 1
      else
        entries = entries + last - at + 1
      end
    end
    if backward then
      at = math.min(at, (header and header.first or last) - 1)
      is_end = at < floor
    else
      at = last + 1
      is_end = at > head
    end
    if is_end or entries >= most_entries or bytes > most_bytes then
      return { held, is_end and 1 or 0, found }
    end
  end
  at_once = math.min(at_once * 2, MOST_AT_ONCE)
end
return { held, 1, found }
`,
);
