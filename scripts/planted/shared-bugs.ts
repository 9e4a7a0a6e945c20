import type { PlantedBug } from "./planted-bug.ts";
import { simulated } from "./simulated.ts";

const VIRTUAL_LOG = "test/simulation/virtual-log.ts";

/** Bugs that show where several nodes share a storage. */
export const SHARED_BUGS: readonly PlantedBug[] = [
  {
    name: "epoch kept after a rollback",
    harm: "a storage that lost its end issues the same positions again: readers miss the messages that took their place",
    patches: [
      {
        file: VIRTUAL_LOG,
        find: "    if (life === this.#world.life()) return { links };\n",
        replace: "    if (life >= 0) return { links };\n",
      },
    ],
    caughtBy: [simulated("fail-overs")],
  },
  {
    name: "no dedup over nodes",
    harm: "a publish that is repeated over another node is stored twice",
    patches: [
      {
        file: "test/simulation/virtual-storage.ts",
        find: "    return this.#call(() => batches.map((batch) => backend.append(batch)));\n",
        replace: `    const own = (key: string) => key && this.#options.party.name + key;
    return this.#call(() =>
      batches.map((batch) => {
        const records = batch.records.map((record) => ({ ...record, idempotencyKey: own(record.idempotencyKey) }));
        return backend.append({ ...batch, records });
      }),
    );
`,
      },
    ],
    caughtBy: [simulated("lost-answers")],
  },
  {
    name: "stale routing on another node",
    harm: "a node that has not heard of a change goes on routing by the old configuration behind the answered position",
    patches: [
      {
        file: VIRTUAL_LOG,
        find: '    if (batch.version < this.#head.version) return { kind: "stale", version: this.#head.version };\n',
        replace: "",
      },
    ],
    caughtBy: [simulated("pauses")],
  },
  {
    name: "doorbell-only delivery",
    harm: "a message whose ring was lost is read when the next one comes, or never",
    patches: [
      {
        file: "src/bus/reading/end-poll.ts",
        find: "    this.#stop = options.clock.every(POLL_MS, () => void this.#poll(false));\n",
        replace: "    this.#stop = () => {};\n",
      },
    ],
    caughtBy: [simulated("rings")],
  },
  {
    name: "lost notifications not told",
    harm: "after an outage a node knows old rooms, members and agents until its rare look at everything",
    patches: [
      {
        file: "test/simulation/virtual-storage.ts",
        find: '      for (const listener of [...this.#rings]) listener({ topic: "missed" });\n',
        replace: "",
      },
    ],
    caughtBy: [simulated("outages")],
  },
  {
    name: "nothing to do, said a node that is behind",
    harm: "a change is answered OK and not made, because the node still knows what was there before another change",
    patches: [
      {
        file: "src/bus/directory/directory-replica.ts",
        find: "          if (isFresh) return",
        replace: "          if (isFresh || value === undefined) return",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/directory/directory-replica.test.ts",
        title: "believes that there is nothing to change only of what the storage has now",
      },
      {
        file: "src/bus/rooms/members.test.ts",
        title: "who left on another node and joins again on one that has not heard of it is a member",
      },
    ],
  },
  {
    name: "position of an unknown channel forgotten",
    harm: "a stream that resumes before its node has heard of a channel gets that channel's messages twice, or not",
    patches: [
      {
        file: "src/bus/reading/subscriptions.ts",
        find: "  return resume?.has(key) ? input.start : otherwise;\n",
        replace: "  return otherwise;\n",
      },
    ],
    caughtBy: [
      { file: "src/bus/several-nodes.test.ts", title: "S3-US3.1: is where its pattern goes on" },
      {
        file: "src/bus/several-nodes.test.ts",
        title: "S3-US3.1: is where an agent goes on in what it joined on another node",
      },
    ],
  },
  {
    name: "overtaken while it is routed again",
    harm: "a producer's later message is stored before an earlier one that met a change of routing",
    patches: [
      {
        file: "src/bus/publishing/publisher.ts",
        find: "      if (this.#flights.isBehind(channel)) return this.#storeBehind(prepared);\n",
        replace: "",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/publishing/publisher.test.ts",
        title: "a batch that is routed again is not overtaken by a later one",
      },
      {
        file: "src/bus/publishing/publisher.test.ts",
        title: "several that are routed again keep their order, and what came meanwhile goes behind them",
      },
    ],
  },
  {
    name: "single lost message not told",
    harm: "a reader whose newest message alone was lost in a fail-over is not told so",
    patches: [
      {
        file: "src/bus/reading/void-range.ts",
        find: "  if (after <= agreed) return undefined;\n",
        replace: "  if (after <= agreed + 1) return undefined;\n",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/reading/void-range.test.ts",
        title: "is what lies behind the agreed part where its epoch is gone, a single message, too",
      },
      simulated("fail-overs"),
    ],
  },
  {
    name: "presence that was stored late stays",
    harm: "an agent that is gone is shown as present, for as long as the node lives that it left",
    patches: [
      {
        file: "src/bus/agents/shared-presence.ts",
        find: "told !== (this.#local.of(agentId) !== undefined)",
        replace: "!told && this.#local.of(agentId) !== undefined",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/agents/shared-presence.test.ts",
        title: "is written again when the storage lost it, and removed again when the storage brought it back",
      },
    ],
  },
  {
    name: "defaults of a room not passed on",
    harm: "a change of a room's routing is answered, and its channels go on as before",
    patches: [
      {
        file: "src/bus/rooms/room-writer.ts",
        find: "      if (patch.defaults !== undefined) await this.#passOn(name);\n",
        replace: "",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/rooms/room-defaults.test.ts",
        title: "S1-5.2: a change of the room holds for a node that has heard of the channel's last change alone",
      },
    ],
  },
  {
    name: "record behind its log",
    harm: "after a fail-over that lost records alone nobody can use a channel that was deleted and created before it",
    patches: [{ file: "src/bus/rooms/channel-logs.ts", find: "        await this.#adopt(view);\n", replace: "" }],
    caughtBy: [
      {
        file: "src/bus/rooms/channel-logs.test.ts",
        title: "the channel goes on with its log when its record was set back to one that was deleted",
      },
    ],
  },
];
