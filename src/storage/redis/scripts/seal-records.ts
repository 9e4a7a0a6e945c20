import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_RECORDS } from "./lua-records.ts";
import { defineScript } from "./script.ts";

export const SEAL_RECORDS = defineScript(
  "seal-records",
  "write",
  `
-- Brings some of a kind's records from layout 1, which had no checks, to layout 2: "version:expiresAtMs:1:json" and
-- "version:0:0:" get theirs, and what has one stays as it is. So a node that ends in the middle leaves the rest to the next.
--
-- KEYS records
-- ARGV cursor
-- Answers the next cursor; 0: this was the end.
`,
  LUA_CLOCK,
  LUA_RECORDS,
  `
local page = redis.call('HSCAN', records, ARGV[1], 'COUNT', 500)
for i = 1, #page[2], 2 do
  local place, raw = page[2][i], page[2][i + 1]
  local facts, json = string.match(raw, '^(%d+:%d+:[01]:)(.*)$')
  -- Values are objects.
  if facts and (json == '' or string.sub(json, 1, 1) == '{') then
    redis.call('HSET', records, place, facts .. check_of(place, facts, json) .. ':' .. json)
  end
end
return page[1]
`,
);
