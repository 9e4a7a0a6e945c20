import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Ack {
  readonly id: string;
  readonly sequence: number;
  readonly epoch: number;
}

const PROGRAM = fileURLToPath(new URL("./file-publisher.ts", import.meta.url));

/** The publisher program of file-publisher.ts, running. */
export class PublisherProcess {
  readonly acks: Ack[] = [];
  readonly child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #exited: Promise<unknown>;
  #wake: () => void = () => {};
  #hasEnded = false;

  /** `limitKiB`: the largest file it may write. */
  constructor(directory: string, first = 0, limitKiB?: number) {
    const command = [process.execPath, PROGRAM, directory, String(first)];
    const [program, ...args] =
      limitKiB === undefined ? command : ["bash", "-c", `ulimit -S -f ${limitKiB}; exec "$@"`, "limited", ...command];
    this.child = spawn(program!, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#exited = once(this.child, "exit");
    const lines = createInterface({ input: this.child.stdout! });
    lines.on("line", (line) => {
      this.#lines.push(line);
      const [what, id, sequence, epoch] = line.split(" ");
      if (what === "ack") this.acks.push({ id: id!, sequence: Number(sequence), epoch: Number(epoch) });
      this.#wake();
    });
    lines.on("close", () => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  /** The next line that fits, from the first one or from where the last call stopped. Throws when there will be none. */
  async line(pattern: RegExp): Promise<string> {
    for (;;) {
      for (let line = this.#lines.shift(); line !== undefined; line = this.#lines.shift()) {
        if (pattern.test(line)) return line;
      }
      if (this.#hasEnded) throw new Error(`the publisher ended before it said ${pattern}`);
      await this.#change();
    }
  }

  /** When so many messages have been acknowledged. */
  async acknowledged(count: number): Promise<void> {
    while (this.acks.length < count) {
      if (this.#hasEnded) throw new Error(`the publisher ended after ${this.acks.length} acknowledgements`);
      await this.#change();
    }
  }

  /** Ends it without a word, and waits until everything it said is read. */
  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.#exited;
    while (!this.#hasEnded) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
