import type { PlantedBug } from "./planted-bug.ts";
import { simulated } from "./simulated.ts";

const SUBSCRIPTION = "src/bus/reading/subscription.ts";
const RESUME = {
  file: "test/property/resume.test.ts",
  title: "S3-US3.1: what a reader gathers and the gaps it was told are exactly what it may see of the log",
};

/** Bugs that one node alone would have. */
export const NODE_BUGS: readonly PlantedBug[] = [
  {
    name: "ack before store",
    harm: "a publish is answered, and shown, while the storage may still refuse it",
    patches: [
      {
        file: "src/bus/publishing/publisher.ts",
        find: "      if (outcome instanceof Promise || outcome.kind",
        replace: `      if (outcome instanceof Promise) {
        outcome.catch(() => {});
        const guessed = routed.records.map((_, i) => ({ sequence: i + 1, epoch: 1, acceptedAtMs: 0, duplicate: false }));
        return this.#stored(prepared, channel, routed, guessed);
      }
      if (outcome.kind`,
      },
    ],
    caughtBy: [
      { file: "src/bus/publishing/publisher.test.ts", title: "is stored before it is answered or shown to anyone" },
      { file: "src/bus/publishing/publisher.test.ts", title: "that the store refuses is shown to nobody" },
      simulated("full"),
    ],
  },
  {
    name: "cursor after filter",
    harm: "the position to resume from stays behind what a filter skipped, so that it is read again for ever",
    patches: [
      {
        file: SUBSCRIPTION,
        find: "      if (cursor.announced === cursor.after) continue;\n",
        replace: "      if (cursor.announced <= cursor.after) continue;\n",
      },
      {
        file: "src/bus/reading/fetcher.ts",
        find: "        from = entry.sequence;\n        scanned++;\n        if (!visible) continue;\n",
        replace: "        scanned++;\n        if (!visible) continue;\n        from = entry.sequence;\n",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/reading/subscription.test.ts",
        title: "S3-US3.1: tell positions past what was silently skipped, and only when they moved",
      },
      {
        file: "src/bus/reading/fetcher.test.ts",
        title: "has the messages that fit the filter, and positions past those that do not",
      },
    ],
  },
  {
    name: "lost gap",
    harm: "what retention took before it was read is passed over in silence",
    patches: [
      {
        file: "src/bus/reading/store-page.ts",
        find: '    yield { first: after + 1, last: state.floor - 1, cause: "RETENTION" };\n',
        replace: "",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/reading/subscription.test.ts",
        title: "is told the Gap when retention took what it did not read",
      },
      RESUME,
    ],
  },
  {
    name: "lost gap at the start",
    harm: "a client that resumes is not told what was trimmed while it was away",
    patches: [
      {
        file: "src/bus/reading/subscriptions.ts",
        find: "      return gap && { name: view.name, ...gap };\n",
        replace: "      return undefined;\n",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/reading/subscriptions.test.ts",
        title: "tells what cannot be replayed as a Gap in the first response, or fails when asked to",
      },
      RESUME,
    ],
  },
  {
    name: "duplicate after resume",
    harm: "the message at the position comes again",
    patches: [
      {
        file: "src/core/epoch-chain.ts",
        find: "  if (sequence >= log.floor - 1) return { after: sequence, rolledBack: false };\n",
        replace: "  if (sequence >= log.floor - 1) return { after: Math.max(sequence - 1, 0), rolledBack: false };\n",
      },
    ],
    caughtBy: [
      {
        file: "src/core/epoch-chain.test.ts",
        title:
          "S3-US3.1: a reader of any position gets each entry that is there and that it has not seen, and is told of the rest",
      },
      RESUME,
    ],
  },
  {
    name: "hole between store and tail",
    harm: "a reader that comes from the store to the live tail misses what came meanwhile",
    patches: [
      {
        file: SUBSCRIPTION,
        find: "      if (!cursor.tail.covers(cursor.after)) {\n",
        replace: "      if (!cursor.tail.covers(cursor.after + 1)) {\n",
      },
    ],
    caughtBy: [RESUME],
  },
  {
    name: "private message shared",
    harm: "a range with a private message goes to every reader as one finished frame",
    patches: [{ file: SUBSCRIPTION, find: "      range.open &&\n", replace: "" }],
    caughtBy: [
      {
        file: "src/bus/reading/subscriptions.test.ts",
        title:
          "S0-2.1.3b S0-2.1.3c S3-US1.1: is shown to its audience and its sender, live and later, and to nobody else",
      },
      RESUME,
    ],
  },
  {
    name: "private message leaked by wildcard",
    harm: "who subscribes to everything reads other agents' inboxes",
    patches: [
      {
        file: "src/bus/reading/subscriptions.ts",
        find: "    if (view.name.room === INBOX_ROOM) return;\n",
        replace: "",
      },
      {
        file: "src/core/patterns.ts",
        find: 'if (text === "**") return { text, prefix: "", matches: ({ room }) => !isReserved(room) };\n',
        replace: 'if (text === "**") return { text, prefix: "", matches: () => true };\n',
      },
      {
        file: "src/bus/reading/delivery-rule.ts",
        find: "    if (!maySee(entry, agentId)) return false;\n",
        replace: "",
      },
      { file: SUBSCRIPTION, find: "      range.open &&\n", replace: "" },
    ],
    caughtBy: [
      {
        file: "src/bus/reading/subscriptions.test.ts",
        title:
          "S3-US1.2 S3-K.3: what its patterns match, and what comes to exist, from its first message; never inboxes",
      },
      { file: "src/core/patterns.test.ts", title: "S3-US1.2: a wildcard never matches an inbox, whatever the pattern" },
    ],
  },
  {
    name: "old routing after its change",
    harm: "a message behind the answered position is still routed by the configuration before it",
    patches: [
      {
        file: "src/storage/memory/memory-message-log.ts",
        find: 'if (batch.version < log.version) return { kind: "stale", version: log.version };\n',
        replace: "\n",
      },
    ],
    caughtBy: [
      {
        file: "test/property/routing-swap.test.ts",
        title:
          "S0-3.2.2 S1-5.2: takes effect exactly behind the position that the change was answered with, while publishes run",
      },
    ],
  },
  {
    name: "order lost over a failure",
    harm: "what a producer sent behind a refused message is stored before it",
    patches: [
      {
        file: "src/rpc/lines/publish-line.ts",
        find: "      this.#checkOrder(requestId);\n      const prepared",
        replace: "      const prepared",
      },
    ],
    caughtBy: [
      {
        file: "src/rpc/lines/publish-line.test.ts",
        title:
          "S3-E.2: nothing is taken until the refused request comes again: order holds and nothing is lost or doubled",
      },
    ],
  },
  {
    name: "silent stream of a deleted channel",
    harm: "a stream that was opened while its channel was deleted stays open, and nothing ever comes",
    patches: [
      {
        file: "src/bus/reading/subscriptions.ts",
        find: "      if (found === undefined || this.#deps.rooms.channel(view.name.key)?.incarnation !== view.incarnation) {\n",
        replace: "      if (found === undefined) {\n",
      },
    ],
    caughtBy: [
      {
        file: "src/bus/reading/subscriptions-end.test.ts",
        title: "a channel that is deleted while a stream opens is not read as if it were there",
      },
    ],
  },
  {
    name: "end held back",
    harm: "a subscription without credit never says that it is over, and is never let go",
    patches: [
      {
        file: "src/rpc/lines/connect-line.ts",
        find: "    if (found.credit <= 0 && found.subscription.finished === undefined) return false;\n",
        replace: "    if (found.credit <= 0) return false;\n",
      },
      {
        file: "src/rpc/lines/connect-line.ts",
        find: "openStream(agent, () => this.#finishLater());\n",
        replace: "openStream(agent, () => this.#finish(undefined));\n",
      },
    ],
    caughtBy: [
      {
        file: "src/rpc/lines/connect-line.test.ts",
        title: "does not hold back the end: of a subscription that was given up, that failed, or whose channel is gone",
      },
      {
        file: "src/rpc/lines/connect-line.test.ts",
        title: "when the agent is gone its subscriptions say so first: disconnect",
      },
    ],
  },
  {
    name: "memory that is not let go",
    harm: "a tail keeps hundreds of messages that it no longer counts",
    patches: [
      {
        file: "src/bus/reading/channel-tail.ts",
        find: "    if (this.#offset * 2 >= this.#entries.length) this.#compact();\n",
        replace: "    if (this.#offset >= 512) this.#compact();\n",
      },
    ],
    caughtBy: [{ file: "src/bus/reading/channel-tail.test.ts", title: "lets go of the memory of what it removed" }],
  },
  {
    name: "widened recipients",
    harm: "a field in `to` that this server does not know is ignored, and more agents read the message than were meant",
    patches: [
      {
        file: "src/wire/scan-recipients.ts",
        find: '      if (reader.field > 3) throw unknownField("to", reader.field);\n',
        replace: "      if (reader.field > 3) continue;\n",
      },
    ],
    caughtBy: [
      {
        file: "src/wire/compatibility.test.ts",
        title: "S3-SC-009: is refused when it narrows `to` in a way that this server does not know: Recipients",
      },
      {
        file: "test/property/envelopes.test.ts",
        title: "S3-SC-005: 100,000 malformed ones are refused, each with the reason of what is wrong with it",
      },
    ],
  },
];
