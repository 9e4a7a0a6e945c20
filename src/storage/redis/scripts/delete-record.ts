import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_RECORDS } from "./lua-records.ts";
import { defineScript } from "./script.ts";

export const DELETE_RECORD = defineScript(
  "delete-record",
  "free",
  `
-- Removes a record, when a version is given only at that version. Answers 1 when it was removed, 2 when it is damaged and a
-- version is given.
--
-- KEYS records, index, counts, expiry
-- ARGV clock, place, version ("": any)
`,
  LUA_CLOCK,
  LUA_RECORDS,
  `
local time = now(ARGV[1])
local record = parse(redis.call('HGET', records, ARGV[2]))
if ARGV[3] ~= '' and record and not is_intact(ARGV[2], record) then return 2 end
if not is_live(record, time) or (ARGV[3] ~= '' and tonumber(ARGV[3]) ~= record.version) then return 0 end
forget(ARGV[2], record, time)
return 1
`,
);
