import { describeWithOwnServer } from "../support/server-process.ts";
import { usePostgres } from "./postgres-fixture.ts";
import { describeDamage } from "./shared/damage.ts";
import { describeDamagedRecords } from "./shared/damaged-records.ts";
import { describeLeaving } from "./shared/leaving.ts";
import { describeLife } from "./shared/life.ts";
import { describeNodes } from "./shared/nodes.ts";
import { describeOpening } from "./shared/opening.ts";
import { describeOutage } from "./shared/outage.ts";
import { describeReload } from "./shared/reload.ts";

await describeWithOwnServer("postgres", (start) => {
  const postgres = usePostgres(start);
  describeOpening("postgres", postgres);
  describeOutage("postgres", postgres);
  describeLeaving("postgres", postgres);
  describeLife("postgres", postgres);
  describeNodes("postgres", postgres);
  describeDamage("postgres", postgres);
  describeDamagedRecords("postgres", postgres);
  describeReload("postgres", postgres);
});
