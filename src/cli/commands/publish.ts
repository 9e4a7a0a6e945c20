import type { MessageTypeName, Receipt, SendOptions } from "agentbus/node";
import type { Command } from "commander";
import { MESSAGE_TYPES } from "../../core/message.ts";
import { type BusContext, onBus, type Surroundings } from "../bus-command.ts";
import { examples } from "../examples.ts";
import { UsageError } from "../exit-code.ts";
import { readLines } from "../input-lines.ts";
import { count, duration, given, pairs, read, wordOption } from "../option-values.ts";
import { showProgress } from "../output/progress.ts";
import type { Terminal } from "../output/terminal.ts";
import { addRecipientOptions, type RecipientFlags, recipientsOf } from "../recipient-options.ts";

interface PublishFlags extends RecipientFlags {
  readonly type?: MessageTypeName;
  readonly name?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly key?: string;
  readonly id?: string;
  readonly contentType?: string;
  readonly replyTo?: string;
  readonly correlation?: string;
  readonly causation?: string;
  readonly ordering?: string;
  readonly ttl?: number;
  readonly priority?: number;
  readonly timeout: number;
}

type PublishArguments = readonly [first: string | undefined, rest: readonly string[]];

const CHANNEL = /^[A-Za-z0-9._-]+:[A-Za-z0-9._-]+$/;
// What is read ahead of the answers: enough to fill the way to the bus, little enough to hold in memory.
const MAX_OUTSTANDING = 256;

export function addPublish(program: Command, surroundings: Surroundings): void {
  const command = program
    .command("publish")
    .summary("say something in a channel, or to an agent's inbox")
    .description(
      "Publishes a message, or with - each line of standard input as one, in order. The first argument is the channel " +
        "when it is written room:channel; without a channel, --to names the agent whose inbox it goes to. Ends when " +
        "everything is stored.",
    )
    .argument("[channel]", "room:channel")
    .argument("[text...]", "what to say; - reads lines from standard input");
  addRecipientOptions(command)
    .addOption(wordOption("--type <type>", "what it is; default: message", MESSAGE_TYPES))
    .option("--name <name>", "of the event, command or result")
    .addOption(pairs("--metadata <key=value>", "a free pair"))
    .addOption(read("--priority <0-9>", "9 is most urgent; default: 0", count(0, 9)))
    .option("--content-type <type>", "the media type of the text; default: text/plain")
    .option("--id <id>", "the message's id; default: a new UUIDv7")
    .option("--key <key>", "idempotency key: the same again is stored once")
    .option("--ordering <key>", "ordering key")
    .option("--correlation <id>", "the conversation it belongs to")
    .option("--causation <position>", "the message that made you say it")
    .option("--reply-to <address>", "where answers shall go: room:channel or _inbox:agent")
    .addOption(read("--ttl <duration>", "after so long nobody is shown it any more", duration))
    .addOption(read("--timeout <duration>", "how long to try", duration).default(60_000, "60s"))
    .addHelpText(
      "after",
      examples(
        "agentbus publish science:explore hello everybody",
        "agentbus publish --to bob 'a word in private'",
        "agentbus publish science:explore --capability translate --limit 1 --type command --name Translate 'Guten Tag'",
        `agentbus publish lab:events --type event --name UserCreated --content-type application/json '{"id":7}'`,
        "tail -f app.log | agentbus publish ops:logs -",
      ),
    )
    .action(onBus(surroundings, publish, check));
}

function check([first, rest]: PublishArguments, flags: PublishFlags): void {
  const { channel, words } = split(first, rest);
  const to = recipientsOf(flags);
  if (channel === undefined && to === undefined) {
    throw new UsageError(
      first === undefined
        ? "say where and what: agentbus publish room:channel text"
        : `${JSON.stringify(first)} is not a channel, which is written room:channel, and --to names no agent`,
    );
  }
  if (words.length === 0)
    throw new UsageError("nothing to publish: give a text, or - to read lines from standard input");
  if (isStandardInput(words) && (flags.key !== undefined || flags.id !== undefined))
    throw new UsageError("--id and --key name one message: they do not go with lines from standard input");
}

async function publish(context: BusContext, [first, rest]: PublishArguments, flags: PublishFlags): Promise<void> {
  const { channel, words } = split(first, rest);
  const options: SendOptions = given<SendOptions>({
    channel,
    to: recipientsOf(flags),
    type: flags.type,
    name: flags.name,
    metadata: flags.metadata,
    priority: flags.priority,
    contentType: flags.contentType,
    id: flags.id,
    idempotencyKey: flags.key,
    orderingKey: flags.ordering,
    correlationId: flags.correlation,
    causation: flags.causation,
    replyTo: flags.replyTo,
    timeToLiveMs: flags.ttl,
    timeoutMs: flags.timeout,
  });
  if (isStandardInput(words)) return publishLines(context, options);
  using _progress = showProgress(context.terminal, () => "waiting for the bus to store it");
  const receipt = await context.agent().send(words.join(" "), { ...options, signal: context.signal });
  await printReceipt(context.terminal, receipt);
}

/** The first argument is the channel when it is written as one. */
function split(first: string | undefined, rest: readonly string[]): { channel?: string; words: readonly string[] } {
  if (first === undefined) return { words: [] };
  return CHANNEL.test(first) ? { channel: first, words: rest } : { words: [first, ...rest] };
}

function isStandardInput(words: readonly string[]): boolean {
  return words.length === 1 && words[0] === "-";
}

/** The agent stores them in the order of the calls, so several may be on their way; receipts are printed as they come. */
async function publishLines(context: BusContext, options: SendOptions): Promise<void> {
  const { terminal, streams, signal } = context;
  const agent = context.agent();
  const failed = new AbortController();
  const outstanding: Promise<void>[] = [];
  let printed = Promise.resolve();
  let lines = 0;
  const settle = async (sent: Promise<Receipt>, line: number) => {
    const receipt = await sent.catch((error: unknown) => {
      terminal.note(`line ${line} of standard input was not published; some behind it may have been`, "warning");
      throw error;
    });
    await printReceipt(terminal, receipt);
  };
  for await (const line of readLines(streams.stdin, AbortSignal.any([signal, failed.signal]))) {
    const number = ++lines;
    const sent = agent.send(line, { ...options, signal });
    sent.catch(() => {}); // told by the first that fails
    printed = printed.then(() => settle(sent, number));
    // A refusal ends the reading at once, also when standard input is silent.
    printed.catch(() => failed.abort());
    outstanding.push(printed);
    if (outstanding.length >= MAX_OUTSTANDING) await outstanding.shift();
  }
  await printed;
  signal.throwIfAborted();
}

function printReceipt(terminal: Terminal, receipt: Receipt): Promise<void> {
  if (terminal.json) return terminal.printJson(receipt);
  const { position, duplicate, audience, durability } = receipt;
  if (!terminal.interactive) return terminal.print(position);
  const readers = audience === undefined ? "" : `, for ${audience.count} ${audience.count === 1 ? "agent" : "agents"}`;
  const state = duplicate ? "was there already" : durability;
  return terminal.print(`${position} ${terminal.paint("gray", `${state}${readers}`)}`);
}
