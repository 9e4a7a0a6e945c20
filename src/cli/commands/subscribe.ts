import type { Start, SubscribeOptions, Subscription, SubscriptionEvent } from "agentbus/node";
import { Argument, type Command, Option } from "commander";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { UsageError } from "../exit-code.ts";
import { addFilterOptions, type FilterFlags, filterOf } from "../filter-options.ts";
import { channel, collect, collectPosition, count, given, instant, read } from "../option-values.ts";
import { printGap, printMessage } from "../output/message-output.ts";
import { PositionFile } from "../position-file.ts";

interface SubscribeFlags extends FilterFlags {
  readonly last?: number;
  readonly earliest?: true;
  readonly since?: Date;
  readonly resume?: readonly string[];
  readonly echo?: boolean;
  readonly observe?: true;
  readonly exclusive?: string;
  readonly failOnGap?: true;
  readonly positionsFile?: string;
  readonly count?: number;
}

export function addSubscribe(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("subscribe")
    .summary("read channels as they grow")
    .description(
      "Prints messages as they come, until it is stopped with Ctrl-C. Without channels and patterns: the agent's inbox " +
        "and every channel that it joined. A cut connection is opened again, from where it was. Without --agent it " +
        "shows one's own messages, too.",
    )
    .addArgument(
      new Argument("[channel...]", "room:channel, or patterns: 'science:*', 'science.*:general', '**'").argParser(
        channelOrPattern,
      ),
    )
    .addOption(read("--last <count>", "begin with the last so many messages of each channel", count(1, 1_000)))
    .option("--earliest", "begin with the oldest retained message")
    .addOption(read("--since <instant>", "begin with the first message at or after it, or so long ago", instant))
    .addOption(
      new Option("--resume <position>", "begin behind this position (may be repeated)").argParser(collectPosition),
    )
    .option("--positions-file <file>", "keep in it how far was read, and go on from there the next time")
    .option("--echo", "also what this agent says itself")
    .option("--no-echo", "nothing of what this agent says itself")
    .option("--observe", "read without being present and without being a candidate for routing")
    .option("--exclusive <name>", "be the only stream of this agent and name; an older one ends")
    .option("--fail-on-gap", "fail when messages cannot be delivered, instead of telling and going on")
    .addOption(read("-n, --count <count>", "end after so many messages", count(1, Number.MAX_SAFE_INTEGER)));
  addFilterOptions(command)
    .addHelpText(
      "after",
      examples(
        "agentbus subscribe science:explore --last 10",
        "agentbus subscribe 'science:*' --since 15m --type event",
        "agentbus --agent bob subscribe",
        "agentbus --json subscribe lab:events --positions-file ./read | jq .text",
      ),
    )
    .action(onBus(surroundings, subscribe, (_args: [string[]?], flags: SubscribeFlags) => void startOf(flags)));
}

function channelOrPattern(value: string, earlier?: readonly string[]): readonly string[] {
  return collect(value.includes("*") ? value : channel(value), earlier);
}

async function subscribe(context: BusContext, [names]: [string[]?], flags: SubscribeFlags): Promise<void> {
  const start = startOf(flags);
  const options = given<SubscribeOptions>({
    channels: (names ?? []).filter((name) => !name.includes("*")),
    patterns: (names ?? []).filter((name) => name.includes("*")),
    start,
    filter: filterOf(flags),
    echo: flags.echo ?? !context.agentGiven,
    observe: flags.observe,
    exclusive: flags.exclusive,
    // Told as an event below; the warning would tell it twice.
    onGap: flags.failOnGap === true ? "fail" : () => {},
    ...(flags.positionsFile === undefined
      ? { name: undefined, positions: undefined }
      : { name: "subscribe", positions: new PositionFile(flags.positionsFile) }),
  });
  const subscription = context.agent().subscribe(options);
  const stop = () => void subscription.close().catch(() => {});
  context.signal.addEventListener("abort", stop, { once: true });
  try {
    await readAll(context, subscription, flags.count ?? Number.POSITIVE_INFINITY);
  } finally {
    context.signal.removeEventListener("abort", stop);
  }
}

/** A stop finishes the loop, so that what was printed counts as read. */
async function readAll(context: BusContext, subscription: Subscription, most: number): Promise<void> {
  let messages = 0;
  let wasCut = false;
  for await (const event of subscription.events()) {
    if (event.type === "message") {
      await printMessage(context.terminal, event.message);
      // Closed and not left: a loop that is left counts its last message as not read.
      if (++messages >= most) void subscription.close().catch(() => {});
      continue;
    }
    wasCut = await tell(context, event, wasCut);
  }
}

/** Answers whether the stream is cut now. */
async function tell({ terminal, bus }: BusContext, event: SubscriptionEvent, wasCut: boolean): Promise<boolean> {
  if (event.type === "gap") await printGap(terminal, event.gap);
  if (event.type === "cut" && !wasCut)
    terminal.note(`-- the connection was cut (${event.error.message}); trying again`);
  if (event.type === "opened" && wasCut) terminal.note("-- connected again");
  else if (event.type === "opened" && terminal.showsProgress) terminal.note(`-- connected to ${bus.url}, Ctrl-C ends`);
  return event.type === "cut" || (wasCut && event.type !== "opened");
}

function startOf({ last, earliest, since, resume }: SubscribeFlags): Start | undefined {
  const starts: readonly (Start | undefined)[] = [
    last === undefined ? undefined : { last },
    earliest === undefined ? undefined : "earliest",
    since === undefined ? undefined : { since },
    resume === undefined ? undefined : { resume },
  ];
  const chosen = starts.filter((start) => start !== undefined);
  if (chosen.length > 1) throw new UsageError("give one of --last, --earliest, --since and --resume");
  return chosen[0];
}
