export type { RedisStorageOptions } from "./redis-options.ts";
export { createRedisStorage, redisStorage } from "./redis-storage.ts";
