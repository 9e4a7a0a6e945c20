import { describe } from "vitest";
import type { OpenStorage } from "./opened-storage.ts";
import { describeSharedDirectory } from "./shared-directory.ts";
import { describeSharedLog } from "./shared-log.ts";

/** What a shared storage promises when two nodes use it at once. Each shared adapter calls it once. */
export function describeShared(adapter: string, open: OpenStorage): void {
  describe(`${adapter} over two nodes`, () => {
    describeSharedLog(open);
    describeSharedDirectory(open);
  });
}
