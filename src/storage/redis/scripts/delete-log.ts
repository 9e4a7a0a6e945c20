import { defineScript } from "./script.ts";

export const DELETE_LOG = defineScript(
  "delete-log",
  "free",
  `
-- Removes the log of an incarnation with its messages and its idempotency keys; another one is left alone. The server
-- gives the memory back behind the step, in a thread of its own.
--
-- KEYS log, stream, keys of even generations, keys of odd generations
-- ARGV incarnation
if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] then return 0 end
return redis.call('UNLINK', unpack(KEYS))
`,
);
