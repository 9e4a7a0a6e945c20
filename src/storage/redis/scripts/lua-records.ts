/**
 * How the records of one kind are kept, all under one hash tag. A record's place is "parent<NUL>id".
 *
 * records  hash: place -> "version:expiresAtMs:1:check:json", or "version:0:0:check:" for one that is gone, which keeps its
 *          version. check is made of all the rest and the place: stored-record.ts has it, too.
 * index    sorted set of the places that are not gone, all of score 0: ordered by bytes, so by parent and then by id
 * counts   hash: parent -> how many places of it the index has
 * expiry   sorted set: place -> when it is over, for records that expire and for those that are gone
 */
export const LUA_RECORDS = `
local records, index, counts, expiry = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

-- How long a record that is gone keeps its version.
local REMEMBERED_MS = 600000

-- A record that cannot be parsed has nothing but raw.
local function parse(raw)
  if not raw then return nil end
  local version, expires_at, present = string.match(raw, '^(%d+):(%d+):([01]):')
  return {
    version = tonumber(version), expires_at = tonumber(expires_at), present = present == '1', raw = raw,
  }
end

local function check_of(place, facts, json)
  return string.sub(redis.sha1hex(place .. '\\n' .. facts .. json), 1, 12)
end

local function is_intact(place, record)
  local facts, check, json = string.match(record.raw, '^(%d+:%d+:[01]:)(%x+):(.*)$')
  return facts ~= nil and check == check_of(place, facts, json)
end

local function store(place, version, expires_at, present, json)
  local facts = int(version) .. ':' .. int(expires_at) .. ':' .. present .. ':'
  redis.call('HSET', records, place, facts .. check_of(place, facts, json) .. ':' .. json)
end

local function is_live(record, time)
  return record ~= nil and record.present and (record.expires_at == 0 or record.expires_at > time)
end

-- The record is gone from now on: nothing is left but its version, for a while.
local function forget(place, record, time)
  redis.call('ZREM', index, place)
  store(place, record.version or 0, 0, '0', '')
  redis.call('ZADD', expiry, int(time + REMEMBERED_MS), place)
  local parent = string.match(place, '^(%Z*)%z')
  if redis.call('HINCRBY', counts, parent, -1) <= 0 then redis.call('HDEL', counts, parent) end
end

-- Removes some of what is over. Answers whether there is more.
local function purge(time, limit)
  local due = redis.call('ZRANGEBYSCORE', expiry, '-inf', int(time), 'LIMIT', 0, limit)
  for _, place in ipairs(due) do
    local record = parse(redis.call('HGET', records, place))
    if record and not is_intact(place, record) then
      -- Whether it is over is not known: it stays, for people.
      redis.call('ZREM', expiry, place)
    elseif record and record.present then
      forget(place, record, time)
    else
      redis.call('HDEL', records, place)
      redis.call('ZREM', expiry, place)
    end
  end
  return #due == limit
end
`;
