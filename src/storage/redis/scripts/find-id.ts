import { LUA_BLOCKS } from "./lua-blocks.ts";
import { LUA_CLOCK } from "./lua-clock.ts";
import { defineScript } from "./script.ts";

export const FIND_ID = defineScript(
  "find-id",
  "read",
  `
-- Looks for a block that may hold an id, through a bounded part of the log: an index by id would cost every append its
-- memory and a write, for a question that is seldom asked. Who asked goes on where it ended.
--
-- KEYS log, stream
-- ARGV id, from (inclusive)
-- Answers where to go on (0: this was the end), and id, header, records of the block, if one was found.
`,
  LUA_CLOCK,
  LUA_BLOCKS,
  `
local MOST_BYTES = 4194304
local AT_ONCE = 16

local floor = tonumber(redis.call('HGET', KEYS[1], 'floor') or 0)
local at = math.max(tonumber(ARGV[2]), floor)
local bytes = 0
while bytes < MOST_BYTES do
  local page = redis.call('XRANGE', KEYS[2], int(at) .. '-0', '+', 'COUNT', AT_ONCE)
  if #page == 0 then return { 0 } end
  for _, entry in ipairs(page) do
    local records = entry[2][4] or ''
    at = last_of(entry) + 1
    bytes = bytes + #records
    if string.find(records, ARGV[1], 1, true) then return { at, entry[1], entry[2][2] or '', records } end
  end
end
return { at }
`,
);
