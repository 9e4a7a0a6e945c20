import { describeSdk } from "./sdk/scenarios.ts";
import { TYPESCRIPT, TYPESCRIPT_FETCH } from "./sdk/sdk-process.ts";

describeSdk(TYPESCRIPT);
describeSdk(TYPESCRIPT_FETCH);
