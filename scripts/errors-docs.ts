import { writeFileSync } from "node:fs";
import { errorReference } from "./errors/error-reference.ts";

// Writes docs/errors.md from the table of reasons. A test fails while the page is not up to date.
writeFileSync(new URL("../docs/errors.md", import.meta.url), errorReference());
