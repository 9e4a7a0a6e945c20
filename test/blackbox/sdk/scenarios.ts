import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest";
import { useBus } from "../shared-bus.ts";
import { ASKING } from "./asking.ts";
import { FAULTS } from "./faults.ts";
import { PRESENCE } from "./presence.ts";
import { READING } from "./reading.ts";
import { type Language, SdkProcess } from "./sdk-process.ts";
import { type Scenario, Stage } from "./stage.ts";
import { TALKING } from "./talking.ts";

/** What every SDK must do, whatever its language: the one list, with the expectations once. */
const SCENARIOS: readonly Scenario[] = [...TALKING, ...ASKING, ...READING, ...PRESENCE, ...FAULTS];

/** Plays the list with the SDK of one language. */
export function describeSdk(language: Language): void {
  describe(`the SDK: ${language.name}`, () => {
    const server = useBus();
    let sdk: SdkProcess | undefined;
    beforeAll(async () => {
      sdk = await SdkProcess.start(language);
    });
    afterAll(() => sdk?.kill());

    for (const { title, play } of SCENARIOS) {
      it(title, async () => {
        const stage = new Stage(server().url, language, sdk!);
        onTestFinished(() => stage.end()); // also when the time is up
        await play(stage);
      });
    }
  });
}
