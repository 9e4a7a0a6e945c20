import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_RECORDS } from "./lua-records.ts";
import { defineScript } from "./script.ts";

export const GET_RECORD = defineScript(
  "get-record",
  "read",
  `
-- The record as it is now, or nothing when it is not there or has expired. A damaged one may say so of itself: it is
-- answered, and told by who asked.
--
-- KEYS records, index, counts, expiry
-- ARGV clock, place
`,
  LUA_CLOCK,
  LUA_RECORDS,
  `
local record = parse(redis.call('HGET', records, ARGV[2]))
if not record then return false end
return (is_live(record, now(ARGV[1])) or not is_intact(ARGV[2], record)) and record.raw
`,
);
