/**
 * The life of the server and the chain of epochs, for scripts that write to a log.
 *
 * INFO inside the script (5 µs with both sections) is what makes it impossible to append under a life that was not
 * noticed: a check of a connection is over before a fail-over, a Sentinel or a cluster puts another server behind it.
 */
export const LUA_LIFE = `
-- Which life of which data this server has. The run id is another after each start. The replication id is another after
-- each promotion too, which catches a master that was demoted, lost its newest writes to the new master, and came back
-- without a restart.
local function life()
  local info = redis.call('INFO', 'server', 'replication')
  return string.match(info, 'run_id:(%x+)') .. ' ' .. string.match(info, 'master_replid:(%x+)')
end

local MAX_LINKS = 1000

-- The chain with one more link from this sequence on, how many links it has, and the link's epoch: the candidate, or
-- the next number that the chain does not have. Epochs are compared for equality only, and 0 is none.
local function with_link(links, count, candidate, first)
  local epoch = tonumber(candidate)
  while epoch == 0 or string.find(',' .. links, ',' .. int(epoch) .. ':', 1, true) do
    epoch = (epoch + 1) % 4294967296
  end
  local link = int(epoch) .. ':' .. int(first)
  if count == 0 then return link, 1, epoch end
  if count >= MAX_LINKS then
    links = string.sub(links, string.find(links, ',', 1, true) + 1)
    count = count - 1
  end
  return links .. ',' .. link, count + 1, epoch
end

local COPIED_AT_ONCE = 100

-- Removes what a longer past left above the head, where the next blocks belong: a stream takes nothing below the newest id
-- it ever had, nor does any Redis from 8 on lower that id, so the stream is made anew from what is left. Both keys have the
-- channel's hash tag. Only a log whose parts were put back from different moments needs it.
local function drop_beyond(stream, head)
  if redis.call('EXISTS', stream) == 0 then return end
  local info = redis.call('XINFO', 'STREAM', stream)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' and tonumber(string.match(info[i + 1], '^%d+')) <= head then return end
  end
  local rebuilt = stream .. ':rebuilt'
  redis.call('DEL', rebuilt)
  local from = '-'
  repeat
    local entries = redis.call('XRANGE', stream, from, int(head) .. '-0', 'COUNT', COPIED_AT_ONCE)
    for _, entry in ipairs(entries) do redis.call('XADD', rebuilt, entry[1], unpack(entry[2])) end
    if #entries > 0 then from = '(' .. entries[#entries][1] end
  until #entries < COPIED_AT_ONCE
  redis.call('DEL', stream)
  if redis.call('EXISTS', rebuilt) == 1 then redis.call('RENAME', rebuilt, stream) end
end
`;
