import { createMemoryStorage } from "../../src/storage/memory/index.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";

const open: OpenStorage = async () => {
  const { environment, advance } = testEnvironment();
  const storage = createMemoryStorage({}, environment);
  return { storage, advance, dispose: () => storage.close() };
};

describeMessageLog("S1-4.1a memory", open);
describeDirectory("S1-4.1a memory", open);
describeDoorbell("S1-4.1a memory", open);
