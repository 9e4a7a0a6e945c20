/**
 * What the two appending scripts share. A script calls open_log(), next_epoch() when it has something to store, add_block()
 * for each block, remember() for the keys, and save().
 *
 * Idempotency keys live in two hashes. The current generation takes keys until it is one window old (or full); then the
 * other one, whose keys are all older than a window, is dropped and becomes the current one. So memory is bounded by two
 * windows, nothing is swept, and one look is two HMGETs. A hash that nobody drops expires by the server's clock.
 *
 * Under a key stands "digest index commit", and under "commit" in the same hash "first epoch acceptedAtMs", from which a
 * message has its index: so the texts under keys can be made by the client, before sequence, epoch and time are known.
 */
export const LUA_APPEND = `
-- Arguments of one call: Lua's stack is bounded.
local CHUNK = 2000
-- A key is asked for within two windows of the start of its generation; the longest window is 10 minutes.
local GENERATION_LIFE_MS = 1260000

local function open_log(key, clock)
  local held = redis.call('HMGET', key, 'incarnation', 'version', 'head', 'time', 'epoch', 'life', 'links', 'linkCount',
    'bytes', 'generation', 'generationStart', 'generationKeys')
  if not held[1] then return nil end
  return {
    key = key, incarnation = held[1], version = tonumber(held[2]), head = tonumber(held[3]),
    time = math.max(now(clock), tonumber(held[4])), epoch = tonumber(held[5]), life = held[6], links = held[7],
    link_count = tonumber(held[8]), bytes = tonumber(held[9]), generation = tonumber(held[10]),
    generation_start = tonumber(held[11]), generation_keys = tonumber(held[12]),
  }
end

-- The log may have lost its end when the server has another life than the one that issued head, or when the node has seen
-- more under this epoch (",epoch:head" of some): what comes has a new epoch.
local function next_epoch(log, stream, candidate, seen)
  local server = life()
  local seen_head = tonumber(string.match(seen, ',' .. int(log.epoch) .. ':(%d+)'))
  if server == log.life and (seen_head or 0) <= log.head then return end
  drop_beyond(stream, log.head)
  log.links, log.link_count, log.epoch = with_link(log.links, log.link_count, candidate, log.head + 1)
  log.new_life = server
end

local function current_keys(log)
  return KEYS[3 + log.generation % 2]
end

local function previous_keys(log)
  return KEYS[3 + (log.generation + 1) % 2]
end

local function add_block(log, stream, count, size, records)
  local header = int(log.head + 1) .. ' ' .. int(count) .. ' ' .. int(log.epoch) .. ' ' .. int(log.time) .. ' '
    .. int(log.bytes) .. ' ' .. int(size)
  log.head = log.head + count
  log.bytes = log.bytes + size
  redis.call('XADD', stream, int(log.head) .. '-0', 'h', header .. ' ' .. string.sub(redis.sha1hex(header), 1, 8),
    'b', records)
end

-- texts: key, text under it, and so on; first: the sequence that index 0 stands for.
local function remember(log, texts, commit, first, window, most)
  if #texts == 0 then return end
  if log.generation_keys > 0 and (log.time - log.generation_start >= window or log.generation_keys >= most) then
    log.generation, log.generation_keys = log.generation + 1, 0
    redis.call('UNLINK', current_keys(log))
  end
  local hash = current_keys(log)
  redis.call('HSET', hash, commit, int(first) .. ' ' .. int(log.epoch) .. ' ' .. int(log.time))
  for from = 1, #texts, CHUNK do
    redis.call('HSET', hash, unpack(texts, from, math.min(from + CHUNK - 1, #texts)))
  end
  if log.generation_keys == 0 then
    log.generation_start = log.time
    redis.call('PEXPIRE', hash, GENERATION_LIFE_MS)
  end
  log.generation_keys = log.generation_keys + #texts / 2
end

-- Writes down what was stored and tells it to those who listen; channel '': nobody does.
local function save(log, channel, name, commit)
  redis.call('HSET', log.key, 'head', int(log.head), 'time', int(log.time), 'bytes', int(log.bytes),
    'generation', int(log.generation), 'generationStart', int(log.generation_start),
    'generationKeys', int(log.generation_keys))
  if log.new_life then
    redis.call('HSET', log.key, 'life', log.new_life, 'epoch', int(log.epoch), 'links', log.links,
      'linkCount', int(log.link_count))
  end
  if channel ~= '' then
    redis.call('PUBLISH', channel, 'L ' .. int(log.head) .. ' ' .. int(log.epoch) .. ' ' .. name .. ' ' .. commit)
  end
end
`;
