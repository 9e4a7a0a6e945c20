/**
 * How a stream holds a log: one stream entry is a block of messages that were stored in one step. Its id is
 * "<sequence of the block's last message>-0", so the block that holds a sequence is the first one from that id on. Field
 * h is the header, field b the records one behind another (entry-codec.ts has their bytes).
 *
 * The header is text: "first count epoch acceptedAtMs offset size check". offset counts the bytes of all bodies ever
 * stored before the block, so that a size is the difference of two blocks and no trim has to add up what it removes.
 */
export const LUA_BLOCKS = `
local function header_of(text)
  local facts, check = string.match(text, '^(.*) (%x+)$')
  if not facts or string.sub(redis.sha1hex(facts), 1, 8) ~= check then return nil end
  local first, count, epoch, time, offset, size = string.match(facts, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
  if not first then return nil end
  return {
    first = tonumber(first), count = tonumber(count), time = tonumber(time),
    offset = tonumber(offset), size = tonumber(size),
  }
end

-- The header and the records of a stream entry; nil: it is damaged.
local function block_of(entry)
  local fields = entry[2]
  if fields[1] ~= 'h' or fields[3] ~= 'b' then return nil end
  local header = header_of(fields[2])
  if header then header.records = fields[4] end
  return header
end

local function last_of(entry)
  return tonumber(string.match(entry[1], '^%d+'))
end

-- The first block that can be read among those that end at this sequence or behind it.
local function block_at(stream, sequence)
  while true do
    local entry = redis.call('XRANGE', stream, int(sequence) .. '-0', '+', 'COUNT', 1)[1]
    if not entry then return nil end
    local block = block_of(entry)
    if block then
      block.last = last_of(entry)
      return block
    end
    sequence = last_of(entry) + 1
  end
end

-- The first sequence from low on whose block has at least this much of a fact that never decreases (time, offset);
-- head + 1 when there is none. By halves.
local function first_with(stream, fact, least, low, head)
  local high = head + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local block = block_at(stream, middle)
    if not block then
      high = middle
    elseif block[fact] >= least then
      high = math.max(low, math.min(middle, block.first))
    else
      low = block.last + 1
    end
  end
  return low
end

-- Bytes of all bodies ever stored before the sequence that stop(sequence, bytes) accepts, going through one block.
local function walk(block, stop)
  local at, sequence, bytes = 1, block.first, block.offset
  while sequence <= block.last and at + 11 <= #block.records do
    if stop(sequence, bytes) then break end
    local length, _, body = struct.unpack('<I4I4I4', block.records, at)
    at = at + length
    bytes = bytes + body
    sequence = sequence + 1
    if length < 12 then break end
  end
  return sequence, bytes
end
`;
