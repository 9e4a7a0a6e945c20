import { describeSdk } from "./sdk/scenarios.ts";
import { PYTHON } from "./sdk/sdk-process.ts";

describeSdk(PYTHON);
