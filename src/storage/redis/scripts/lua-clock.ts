/** Numbers and time, for every script. */
export const LUA_CLOCK = `
-- A whole number as text: tostring() turns 1e15 and above into an exponent.
local function int(n)
  return string.format('%.0f', n)
end

-- Milliseconds since 1970 by this server's clock, or what a test says instead.
local function now(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`;
