import assert from "node:assert/strict";
import { it } from "vitest";
import { runFuzz } from "../../scripts/fuzz/campaign.ts";
import { startBus } from "../support/bus-process.ts";

const ATTACKS = 600;
const MAX_GROWTH_BYTES = 200 * 1024 * 1024;

/** The long form is `npm run fuzz`. */
it("S3-FR-009: bytes thrown at the port are refused: the server stays up, answers, and keeps its memory", async () => {
  await using bus = await startBus();
  const report = await runFuzz({ bus, seed: 20_261_121, goOn: (attacks) => attacks < ATTACKS });
  for (const [attack, count] of Object.entries(report.attacks)) assert.ok(count > 0, `no ${attack} was thrown`);
  assert.ok((report.grownBytes ?? 0) < MAX_GROWTH_BYTES, `the server grew by ${report.grownBytes} bytes`);
});
