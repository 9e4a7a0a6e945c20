import { describeWithOwnServer } from "../support/server-process.ts";
import { useRedis } from "./redis-fixture.ts";
import { describeDamage } from "./shared/damage.ts";
import { describeDamagedRecords } from "./shared/damaged-records.ts";
import { describeLeaving } from "./shared/leaving.ts";
import { describeLife } from "./shared/life.ts";
import { describeNodes } from "./shared/nodes.ts";
import { describeOpening } from "./shared/opening.ts";
import { describeOutage } from "./shared/outage.ts";
import { describeReload } from "./shared/reload.ts";

await describeWithOwnServer("redis", (start) => {
  const redis = useRedis(start);
  describeOpening("redis", redis);
  describeOutage("redis", redis);
  describeLeaving("redis", redis);
  describeLife("redis", redis);
  describeNodes("redis", redis);
  describeDamage("redis", redis);
  describeDamagedRecords("redis", redis);
  describeReload("redis", redis);
});
