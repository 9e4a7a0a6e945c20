import { describeWithServer } from "../support/test-servers.ts";
import { onServer } from "../support/test-storage.ts";
import { describeSdk } from "./sdk/scenarios.ts";
import { PYTHON, TYPESCRIPT } from "./sdk/sdk-process.ts";

await describeWithServer("mariadb", (url) => {
  const storage = onServer("mysql", url);
  for (const nodes of [1, 2]) {
    for (const language of [TYPESCRIPT, PYTHON]) describeSdk(language, { storage, nodes });
  }
});
