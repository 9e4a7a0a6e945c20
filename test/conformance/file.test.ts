import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileStorage } from "../../src/storage/file/index.ts";
import { describeDirectory } from "./directory.ts";
import { describeDoorbell } from "./doorbell.ts";
import { describeMessageLog } from "./message-log.ts";
import { type OpenStorage, testEnvironment } from "./opened-storage.ts";

const open: OpenStorage = async () => {
  const { environment, advance } = testEnvironment();
  const directory = await mkdtemp(join(tmpdir(), "agentbus-file-"));
  let newest = await createFileStorage(directory, {}, environment);
  return {
    storage: newest,
    advance,
    async reopen() {
      await newest.close();
      newest = await createFileStorage(directory, {}, environment);
      return newest;
    },
    async dispose() {
      await newest.close();
      await rm(directory, { recursive: true });
    },
  };
};

describeMessageLog("S1-4.1b file", open);
describeDirectory("S1-4.1b file", open);
describeDoorbell("S1-4.1b file", open);
