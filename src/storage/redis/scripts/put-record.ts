import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_RECORDS } from "./lua-records.ts";
import { defineScript } from "./script.ts";

export const PUT_RECORD = defineScript(
  "put-record",
  "write",
  `
-- Writes a record when it is at the expected version and its parent has room. A record that comes again goes on above the
-- version it had, while that is remembered.
--
-- KEYS records, index, counts, expiry
-- ARGV clock, place, parent, expected version ("": any), most in the parent ("": no limit), timeToLiveMs (0: none), json
-- Answers {"stored", version, expiresAtMs}, {"conflict", what is there}, {"full"}, {"again"}: more of the parent may have
-- expired than one step removes; or {"damaged"}: a write that names a version is refused by a damaged record, whose version
-- nobody knows. Any other replaces it.
`,
  LUA_CLOCK,
  LUA_RECORDS,
  `
local PURGE_STEP = 64

local time, place, parent = now(ARGV[1]), ARGV[2], ARGV[3]
local has_more = purge(time, PURGE_STEP)
local record = parse(redis.call('HGET', records, place))
if ARGV[4] ~= '' and record and not is_intact(place, record) then return { 'damaged' } end
local live = is_live(record, time)
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= (live and record.version or 0) then
  return { 'conflict', live and record.raw or false }
end
if not live and ARGV[5] ~= '' and tonumber(redis.call('HGET', counts, parent) or 0) >= tonumber(ARGV[5]) then
  return { has_more and 'again' or 'full' }
end

local version = (record and record.version or 0) + 1
local expires_at = ARGV[6] ~= '0' and time + tonumber(ARGV[6]) or 0
store(place, version, expires_at, '1', ARGV[7])
if redis.call('ZADD', index, 0, place) == 1 then redis.call('HINCRBY', counts, parent, 1) end
if expires_at > 0 then redis.call('ZADD', expiry, int(expires_at), place) else redis.call('ZREM', expiry, place) end
return { 'stored', version, expires_at }
`,
);
