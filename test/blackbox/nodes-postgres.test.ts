import { describeWithOwnServer } from "../support/server-process.ts";
import { describeWithServer } from "../support/test-servers.ts";
import { onServer } from "../support/test-storage.ts";
import { describeOutages } from "./nodes/outages.ts";
import { describeNodes } from "./nodes/several-nodes.ts";

await describeWithServer("postgres", (url) => describeNodes(onServer("postgres", url)));
await describeWithOwnServer("postgres", (start) => describeOutages("postgres", start));
