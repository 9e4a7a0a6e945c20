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
`;
