import { z } from "zod";
import { AGENT_PATTERN } from "./patterns.ts";

const apiKey = z.strictObject({
  name: z.string().min(1).max(128).describe("What the key is called in logs."),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, "must be the 64 hex digits of the key's SHA-256")
    .transform((hash) => hash.toLowerCase())
    .describe("SHA-256 of the key, in hex. The key itself is never configured."),
  agents: z
    .array(z.string().regex(AGENT_PATTERN, "must be an agent id, or the beginning of one followed by *"))
    .max(10_000)
    .default([])
    .describe(
      "Agents it may act for: ids, or beginnings of ids followed by `*`. With exactly one id, that agent acts when a request names nobody.",
    ),
  admin: z.boolean().default(false).describe("Whether it may drain the server and read metrics that are not public."),
});

/** Who may call. */
export const authSchema = z.strictObject({
  apiKeys: z
    .array(apiKey)
    .max(10_000)
    .default([])
    .describe("Keys that clients send as `authorization: Bearer <key>`. None: calls need no key."),
  public: z
    .strictObject({
      health: z.boolean().default(true).describe("/health, /ready, /version and grpc.health.v1 without a key."),
      reflection: z.boolean().default(true).describe("grpc.reflection without a key."),
      metrics: z
        .boolean()
        .default(false)
        .describe("/metrics and /metrics.json without a key. Else they want one with `admin`."),
    })
    .prefault({})
    .describe("What needs no key even where there are keys."),
});
