import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Many files of less than a second: at the end they fill what the others leave free. */
const SHORT = "unit";

/**
 * The order in which vitest starts the files: the kinds of tests take turns. One kind after the other, all workers would
 * first wait for servers and then all compute. Within a kind the order is vitest's own.
 */
export class MixingSequencer extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const kinds = Map.groupBy(await super.sort(files), ({ project }) => project.name);
    const short = kinds.get(SHORT) ?? [];
    kinds.delete(SHORT);
    const mixed: TestSpecification[] = [];
    for (let turn = 0; mixed.length < files.length - short.length; turn++) {
      for (const kind of kinds.values()) mixed.push(...kind.slice(turn, turn + 1));
    }
    return [...mixed, ...short];
  }
}
