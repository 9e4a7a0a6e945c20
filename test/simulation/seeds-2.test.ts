import { describeSeeds } from "./seeds.ts";

describeSeeds(1_001, 1_000);
