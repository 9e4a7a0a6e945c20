import type { FetchOptions, Page } from "agentbus/node";
import type { Command } from "commander";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { UsageError } from "../exit-code.ts";
import { addFilterOptions, type FilterFlags, filterOf } from "../filter-options.ts";
import { channelArgument, count, duration, given, instant, read } from "../option-values.ts";
import { printGap, printMessage } from "../output/message-output.ts";
import { showProgress } from "../output/progress.ts";

interface FetchFlags extends FilterFlags {
  readonly after?: string;
  readonly afterId?: string;
  readonly since?: Date;
  readonly backward?: true;
  readonly count: number;
  readonly wait?: number;
}

const PAGE = 1_000;

export function addFetch(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("fetch")
    .summary("read the history of a channel")
    .description(
      "Prints what was said in a channel, from the oldest retained message on, or backward from the newest. With --json " +
        'the last line is {"page": {"position", "caughtUp"}}: give the position as --after to read on.',
    )
    .addArgument(channelArgument("room:channel, or _inbox:<agent> for the agent's own inbox"))
    .option("--after <position>", "begin behind it; backward: before it")
    .option("--after-id <id>", "begin behind the message of this id; backward: before it")
    .addOption(read("--since <instant>", "begin with the first message at or after it, or so long ago", instant))
    .option("--backward", "from new to old")
    .addOption(read("-n, --count <count>", "at most so many messages", count(1, 1_000_000)).default(100))
    .addOption(read("--wait <duration>", "when there is nothing yet, wait so long for the first; up to 60s", duration));
  addFilterOptions(command)
    .addHelpText(
      "after",
      examples(
        "agentbus fetch science:explore",
        "agentbus fetch science:explore --backward -n 10",
        "agentbus fetch lab:events --since 1h --type event --name UserCreated",
        "agentbus fetch science:explore --after 'science:explore@1c2d3e4f.42' --wait 30s",
        "agentbus --agent bob fetch _inbox:bob",
      ),
    )
    .action(onBus(surroundings, fetch, (_args: [string], flags: FetchFlags) => void startOf(flags)));
}

async function fetch(context: BusContext, [channel]: [string], flags: FetchFlags): Promise<void> {
  const { terminal, signal } = context;
  const start = startOf(flags);
  let options: FetchOptions = {
    ...given<FetchOptions>({ start, backward: flags.backward, filter: filterOf(flags), waitMs: flags.wait }),
    signal,
  };
  for (let left = flags.count; ; ) {
    const page = await fetchPage(context, channel, { ...options, maxMessages: Math.min(left, PAGE) });
    for (const gap of page.gaps) await printGap(terminal, gap);
    for (const message of page.messages) await printMessage(terminal, message);
    left -= page.messages.length;
    if (left > 0 && !page.caughtUp && !signal.aborted) {
      options = { ...options, start: { position: page.position }, waitMs: 0 };
      continue;
    }
    const { position, caughtUp } = page;
    if (terminal.json) await terminal.printJson({ page: { position, caughtUp } });
    else if (!caughtUp) terminal.note(`-- there is more: --after '${position}'`);
    return;
  }
}

async function fetchPage({ terminal, agent }: BusContext, channel: string, options: FetchOptions): Promise<Page> {
  using _progress = showProgress(terminal, () => `waiting for ${channel}`);
  return await agent().fetch(channel, options);
}

function startOf({ after, afterId, since }: FetchFlags): FetchOptions["start"] {
  const starts: readonly FetchOptions["start"][] = [
    after === undefined ? undefined : { position: after },
    afterId === undefined ? undefined : { messageId: afterId },
    since === undefined ? undefined : { time: since },
  ];
  const chosen = starts.filter((start) => start !== undefined);
  if (chosen.length > 1) throw new UsageError("give one of --after, --after-id and --since");
  return chosen[0];
}
