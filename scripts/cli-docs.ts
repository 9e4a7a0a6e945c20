import { writeFileSync } from "node:fs";
import { commandLineReference } from "../src/cli/reference.ts";

// Writes docs/cli.md from the program. A test of src/cli fails while the page is not up to date.
writeFileSync(new URL("../docs/cli.md", import.meta.url), commandLineReference());
