import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { styleText } from "node:util";

export interface OutputStream extends Writable {
  /** Whether a person reads it. */
  readonly isTTY?: boolean;
}

/** What a command reads and writes: the process's own streams, or a test's. */
export interface Streams {
  readonly stdin: Readable;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

export type Style = Parameters<typeof styleText>[0];

/**
 * Standard output and standard error as commands use them. Results go to standard output, everything else to standard
 * error. Colours only on a terminal, and never with NO_COLOR.
 */
export class Terminal {
  /** Results as JSON, one value a line. */
  readonly json: boolean;
  /** A person reads the results: tables are aligned and have headings. */
  readonly interactive: boolean;
  /** A person reads standard error: waits may be shown there. */
  readonly showsProgress: boolean;
  readonly #streams: Streams;
  readonly #readerLeft = new AbortController();

  constructor(streams: Streams, json: boolean) {
    this.#streams = streams;
    this.json = json;
    this.interactive = !json && streams.stdout.isTTY === true;
    this.showsProgress = !json && streams.stderr.isTTY === true;
    streams.stdout.on("error", this.#onError);
  }

  /** Aborts when whoever read the results has left, as `head` does. */
  get readerLeft(): AbortSignal {
    return this.#readerLeft.signal;
  }

  /** Writes a line of results; resolves when there is room for more, so that a slow reader slows the command. */
  async print(line: string): Promise<void> {
    const { stdout } = this.#streams;
    if (this.readerLeft.aborted || stdout.write(`${line}\n`)) return;
    // Rejects when the reader leaves instead: then there is nothing to wait for.
    await once(stdout, "drain", { signal: this.readerLeft }).catch(ignore);
  }

  /** Writes one JSON value, on one line. */
  printJson(value: unknown): Promise<void> {
    return this.print(JSON.stringify(value));
  }

  /** Tells something that is no result: JSON under `key`, or the text. */
  note(text: string, key: "note" | "warning" = "note"): void {
    const { stderr } = this.#streams;
    if (this.json) stderr.write(`${JSON.stringify({ [key]: text })}\n`);
    else stderr.write(`${key === "warning" ? this.#style("yellow", text, stderr) : text}\n`);
  }

  /** Tells a failure, as text or as JSON. */
  fail(text: string, json: object): void {
    const { stderr } = this.#streams;
    if (this.json) stderr.write(`${JSON.stringify({ error: json })}\n`);
    else if (text !== "") stderr.write(`${this.#style("red", "agentbus:", stderr)} ${text}\n`);
  }

  /** Writes to standard error as it is, for what moves the cursor. */
  writeError(text: string): void {
    this.#streams.stderr.write(text);
  }

  /** Colours a part of a result. */
  paint(style: Style, text: string): string {
    return this.#style(style, text, this.#streams.stdout);
  }

  #style(style: Style, text: string, stream: OutputStream): string {
    return styleText(style, text, { stream });
  }

  readonly #onError = (error: NodeJS.ErrnoException): void => {
    this.#readerLeft.abort(error);
  };

  /** Stops watching for the reader to leave. */
  close(): void {
    this.#streams.stdout.off("error", this.#onError);
  }
}

function ignore(): void {}

/** Without control characters: what others send must not move the terminal's cursor or forge a line. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) =>
    character === "\t" ? character : `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}
