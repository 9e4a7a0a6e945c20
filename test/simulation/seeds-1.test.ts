import { describeSeeds } from "./seeds.ts";

// Two files, so that two workers share the seeds.
describeSeeds(1, 1_000);
