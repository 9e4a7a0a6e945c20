import { LUA_APPEND } from "./lua-append.ts";
import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_LIFE } from "./lua-life.ts";
import { defineScript } from "./script.ts";

export const APPEND_NEW = defineScript(
  "append-new",
  "write",
  `
-- Appends records when there is nothing to decide: the log has this incarnation and version, and none of the keys is
-- remembered. All is stored in one atomic step, as scripts/append.ts promises it, or nothing is. It is the usual case and
-- costs a third: what can be prepared comes prepared, and is only looked up and stored.
--
-- KEYS log, stream, keys of even generations, keys of odd generations
-- ARGV clock, epoch candidate, ring channel ("": no ring), name of the log, keys kept of one generation, commit,
--      ends that the node has seen, incarnation, version, window, texts (MessagePack: key, text under it, ...), and of each block how many messages,
--      the bytes of their bodies, their records. The server's Lua hashes each string it makes, at 1 GB/s: records are cut
--      into blocks by the client, or they would be hashed twice.
-- Answers time, epoch and first sequence, or nothing when there is something to decide.
`,
  LUA_CLOCK,
  LUA_LIFE,
  LUA_APPEND,
  `
local log = open_log(KEYS[1], ARGV[1])
if not log or log.incarnation ~= ARGV[8] or log.version ~= tonumber(ARGV[9]) then return false end

local texts = cmsgpack.unpack(ARGV[11])
local keys = {}
for i = 1, #texts, 2 do keys[(i + 1) / 2] = texts[i] end
for from = 1, #keys, CHUNK do
  local to = math.min(from + CHUNK - 1, #keys)
  local newer = redis.call('HMGET', current_keys(log), unpack(keys, from, to))
  local older = redis.call('HMGET', previous_keys(log), unpack(keys, from, to))
  for i = 1, to - from + 1 do
    if newer[i] or older[i] then return false end
  end
end

local first = log.head + 1
next_epoch(log, KEYS[2], ARGV[2], ARGV[7])
for b = 12, #ARGV, 3 do
  add_block(log, KEYS[2], tonumber(ARGV[b]), tonumber(ARGV[b + 1]), ARGV[b + 2])
end
remember(log, texts, ARGV[6], first, tonumber(ARGV[10]), tonumber(ARGV[5]))
save(log, ARGV[3], ARGV[4], ARGV[6])
return { log.time, log.epoch, first }
`,
);
