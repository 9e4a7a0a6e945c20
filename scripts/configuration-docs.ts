import { writeFileSync } from "node:fs";
import { configurationReference } from "../src/config/reference.ts";

// Writes docs/configuration.md from the schema. A test of src/config fails while the page is not up to date.
writeFileSync(new URL("../docs/configuration.md", import.meta.url), configurationReference());
