export { createMemoryStorage, type MemoryStorageOptions, memoryStorage } from "./memory-storage.ts";
