/** The fields of a log's hash that its state is made of, in the order in which log-state.ts reads them. */
export const STATE_FIELDS = ["incarnation", "version", "head", "floor", "links", "bytes", "trimmed"] as const;

export const LUA_STATE = `
local function state(log)
  return redis.call('HMGET', log, ${STATE_FIELDS.map((field) => `'${field}'`).join(", ")})
end
`;
