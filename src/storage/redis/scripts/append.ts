import { LUA_APPEND } from "./lua-append.ts";
import { LUA_CLOCK } from "./lua-clock.ts";
import { LUA_LIFE } from "./lua-life.ts";
import { defineScript } from "./script.ts";

/** Codes of a batch's outcome in the reply. */
export const APPENDED = 0;
export const STALE = 1;
export const GONE = 2;
export const CONFLICT = 3;

export const APPEND = defineScript(
  "append",
  "write",
  `
-- Appends a group of batches to one log, in order. Guarantees, in one atomic step:
-- * a batch of another incarnation is answered "gone", one of an older version "stale"; a newer version is a fence;
-- * a record whose key was accepted less than its window ago is a duplicate when the digest is the same; with another
--   digest its batch is a conflict, and nothing of that batch is stored or remembered;
-- * what is stored gets the sequences from head + 1 on without holes, and a time that never decreases;
-- * when the server has another life than the one that issued head, or the node has seen more under head's epoch, a new
--   epoch begins at head + 1;
-- * listeners are told the new head.
--
-- KEYS log, stream, keys of even generations, keys of odd generations
-- ARGV clock, epoch candidate, ring channel ("": no ring), name of the log, keys kept of one generation, commit,
--      ends that the node has seen, batches (MessagePack: incarnation, version, window, records, ...),
--      facts (MessagePack: key, digest, bytes, bytes of the body, ...), records
-- Answers time, epoch, first sequence, code and value of each batch, and of each duplicate its number among the records,
-- its sequence, epoch and time.
`,
  LUA_CLOCK,
  LUA_LIFE,
  LUA_APPEND,
  `
local MAX_BLOCK_BYTES = 65536
local MAX_BLOCK_RECORDS = 256

local batches, facts = cmsgpack.unpack(ARGV[8]), cmsgpack.unpack(ARGV[9])
local log = open_log(KEYS[1], ARGV[1])
if not log then
  local outcomes = {}
  for b = 1, #batches, 4 do
    outcomes[#outcomes + 1] = ${GONE}
    outcomes[#outcomes + 1] = 0
  end
  return { 0, 0, 0, outcomes, {} }
end
next_epoch(log, KEYS[2], ARGV[2], ARGV[7])

-- What is remembered under a record's key, while its window lasts: digest, sequence, epoch, time.
local commits = {}
local function known_in(hash, key, window)
  local text = redis.call('HGET', hash, key)
  if not text then return nil end
  local digest, index, commit = string.match(text, '^(%S+) (%d+) (%S+)$')
  local held = commits[commit]
  if not held then
    local first, epoch, time = string.match(redis.call('HGET', hash, commit), '^(%d+) (%d+) (%d+)$')
    held = { tonumber(first), tonumber(epoch), tonumber(time) }
    commits[commit] = held
  end
  -- The message of a key may have been lost with the log's end.
  if log.time - held[3] >= window or held[1] + tonumber(index) > log.head then return nil end
  return { digest, held[1] + tonumber(index), held[2], held[3] }
end

local outcomes, duplicates = {}, {}
local kept = {}          -- numbers of the records to be stored
local fresh = {}         -- key -> what this step will remember under it
local fenced
local first, head, version = log.head + 1, log.head, log.version
local window = 0
local record = 0

for b = 1, #batches, 4 do
  local count = batches[b + 3]
  local code, value = ${APPENDED}, head + 1
  if batches[b] ~= log.incarnation then
    code = ${GONE}
  elseif batches[b + 1] < version then
    code, value = ${STALE}, version
  else
    local kept_before, duplicates_before = #kept, #duplicates
    for i = record + 1, record + count do
      local key, digest = facts[4 * i - 3], facts[4 * i - 2]
      local known
      if key ~= '' then
        known = fresh[key] or known_in(current_keys(log), key, batches[b + 2])
          or known_in(previous_keys(log), key, batches[b + 2])
      end
      if known and known[1] ~= digest then
        code, value = ${CONFLICT}, i - record - 1
        break
      elseif known then
        duplicates[#duplicates + 1] = { i - 1, known[2], known[3], known[4] }
      else
        head = head + 1
        kept[#kept + 1] = i
        if key ~= '' then fresh[key] = { digest, head, log.epoch, log.time } end
      end
    end
    if code == ${CONFLICT} then
      for n = #kept, kept_before + 1, -1 do
        fresh[facts[4 * kept[n] - 3]] = nil
        kept[n] = nil
        head = head - 1
      end
      for n = #duplicates, duplicates_before + 1, -1 do duplicates[n] = nil end
    else
      if batches[b + 1] > version then
        version = batches[b + 1]
        fenced = value - 1
      end
      window = math.max(window, batches[b + 2])
    end
  end
  outcomes[#outcomes + 1] = code
  outcomes[#outcomes + 1] = value
  record = record + count
end

if #kept > 0 then
  local at = {}
  local offset = 1
  for i = 1, record do
    at[i] = offset
    offset = offset + facts[4 * i - 1]
  end
  local parts, bytes, size = {}, 0, 0
  for n, i in ipairs(kept) do
    parts[#parts + 1] = string.sub(ARGV[10], at[i], at[i] + facts[4 * i - 1] - 1)
    bytes = bytes + facts[4 * i - 1]
    size = size + facts[4 * i]
    if n == #kept or #parts >= MAX_BLOCK_RECORDS or bytes >= MAX_BLOCK_BYTES then
      add_block(log, KEYS[2], #parts, size, table.concat(parts))
      parts, bytes, size = {}, 0, 0
    end
  end
  local texts = {}
  for n, i in ipairs(kept) do
    if facts[4 * i - 3] ~= '' then
      texts[#texts + 1] = facts[4 * i - 3]
      texts[#texts + 1] = facts[4 * i - 2] .. ' ' .. (n - 1) .. ' ' .. ARGV[6]
    end
  end
  remember(log, texts, ARGV[6], first, window, tonumber(ARGV[5]))
  save(log, ARGV[3], ARGV[4], ARGV[6])
end
if fenced then redis.call('HSET', log.key, 'version', int(version), 'fenced', int(fenced)) end

local told = {}
for _, duplicate in ipairs(duplicates) do
  for part = 1, 4 do told[#told + 1] = duplicate[part] end
end
return { log.time, log.epoch, first, outcomes, told }
`,
);
