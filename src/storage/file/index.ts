export { createFileStorage, type FileStorageOptions, fileStorage } from "./file-storage.ts";
