import { describeWithOwnServer } from "../support/server-process.ts";
import { usePostgres } from "./postgres-fixture.ts";
import { describeDamage } from "./shared/damage.ts";
import { describeLife } from "./shared/life.ts";
import { describeNodes } from "./shared/nodes.ts";
import { describeOpening } from "./shared/opening.ts";
import { describeOutage } from "./shared/outage.ts";

await describeWithOwnServer("postgres", (start) => {
  const postgres = usePostgres(start);
  describeOpening("postgres", postgres);
  describeOutage("postgres", postgres);
  describeLife("postgres", postgres);
  describeNodes("postgres", postgres);
  describeDamage("postgres", postgres);
});
