import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it, onTestFinished } from "vitest";
import { runCampaign } from "../../scripts/chaos/campaign.ts";

const KILLS = 4;

/** The long form is `npm run chaos`; its figures stand in docs/reliability.md. */
it("S0-2.1.4b: kill -9 under load loses, doubles, reorders and leaks nothing on file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "agentbus-kill-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const report = await runCampaign({ storage: `file:${join(folder, "data")}`, kills: KILLS, seed: 7 });
  // A history in which nothing happened proves nothing.
  assert.ok(report.acked > 100, `${report.acked} messages were acknowledged`);
  assert.equal(report.ackedNotLookedFor, 0);
  assert.ok(report.deliveries > report.acked, "several readers read each message");
  assert.ok(report.attemptsWithoutAnswer > 0, "no kill hit a request under way");
  assert.ok(report.resumes >= KILLS, `${report.resumes} streams resumed`);
  assert.equal(report.gaps, 0, "a killed process loses nothing that a reader was shown");
}, 120_000);

it("S2-R.3: a backup put back behind its back is told: no reader goes on as if nothing had happened", async () => {
  const folder = await mkdtemp(join(tmpdir(), "agentbus-restore-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [data, backup] = [join(folder, "data"), join(folder, "backup")];
  const report = await runCampaign({
    storage: `file:${data}`,
    kills: 4,
    seed: 11,
    losesData: true,
    async whileDown(restart) {
      const [from, to] = restart % 2 === 1 ? [data, backup] : [backup, data];
      await rm(to, { recursive: true, force: true });
      await cp(from, to, { recursive: true });
    },
  });
  assert.ok(report.gaps > 0, "what was lost is said");
  assert.ok(report.acked > 100 && report.resumes > 0);
}, 120_000);
