import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { BusNodes } from "../../support/bus-nodes.ts";
import { MEMORY, type TestStorage } from "../../support/test-storage.ts";
import { ASKING } from "./asking.ts";
import { FAULTS } from "./faults.ts";
import { PRESENCE } from "./presence.ts";
import { READING } from "./reading.ts";
import { type Language, SdkProcess } from "./sdk-process.ts";
import { type Scenario, Stage } from "./stage.ts";
import { TALKING } from "./talking.ts";

export interface SdkSetting {
  /** Default: memory. */
  readonly storage?: TestStorage;
  /** Nodes of one bus, on which a scenario's agents are in turn. Default: 1. */
  readonly nodes?: number;
}

/** What every SDK must do, whatever its language and wherever the bus keeps it: the one list, with the expectations once. */
const SCENARIOS: readonly Scenario[] = [...TALKING, ...ASKING, ...READING, ...PRESENCE, ...FAULTS];

/** Plays the list with the SDK of one language. */
export function describeSdk(language: Language, { storage = MEMORY, nodes = 1 }: SdkSetting = {}): void {
  const where = `${nodes === 1 ? "one node" : `${nodes} nodes`} on ${storage.name}`;
  describe(`the SDK: ${language.name}, ${where}`, () => {
    let bus: BusNodes | undefined;
    let sdk: SdkProcess | undefined;
    beforeAll(async () => {
      [bus, sdk] = await Promise.all([BusNodes.start({ storage, count: nodes }), SdkProcess.start(language)]);
    });
    afterAll(async () => {
      await sdk?.kill();
      await bus?.end();
    });

    for (const { title, play, needs } of SCENARIOS) {
      if (needs === "shared storage" && !storage.shared) continue;
      it(title, async () => {
        const stage = new Stage(bus!, storage, language, sdk!);
        onTestFinished(() => stage.end()); // also when the time is up
        await play(stage);
      });
    }
  });
}
