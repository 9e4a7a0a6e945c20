import { FILE } from "../support/test-storage.ts";
import { describeSdk } from "./sdk/scenarios.ts";
import { PYTHON, TYPESCRIPT } from "./sdk/sdk-process.ts";

for (const language of [TYPESCRIPT, PYTHON]) describeSdk(language, { storage: FILE });
