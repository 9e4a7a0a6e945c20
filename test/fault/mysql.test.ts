import { describeWithOwnServer } from "../support/server-process.ts";
import { useMysql } from "./mysql-fixture.ts";
import { describeDamage } from "./shared/damage.ts";
import { describeDamagedRecords } from "./shared/damaged-records.ts";
import { describeLeaving } from "./shared/leaving.ts";
import { describeLife } from "./shared/life.ts";
import { describeNodes } from "./shared/nodes.ts";
import { describeOpening } from "./shared/opening.ts";
import { describeOutage } from "./shared/outage.ts";
import { describeReload } from "./shared/reload.ts";

await describeWithOwnServer("mariadb", (start) => {
  const mysql = useMysql(start);
  describeOpening("mysql", mysql);
  describeOutage("mysql", mysql);
  describeLeaving("mysql", mysql);
  describeLife("mysql", mysql);
  describeNodes("mysql", mysql);
  describeDamage("mysql", mysql);
  describeDamagedRecords("mysql", mysql);
  describeReload("mysql", mysql);
});
