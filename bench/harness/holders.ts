import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { HoldCommand, HoldReply } from "../load/hold-protocol.ts";
import { startLoadProcess } from "./load-process.ts";

const PROGRAM = fileURLToPath(new URL("../load/hold.ts", import.meta.url));

export interface OpenOptions {
  readonly port: number;
  readonly connections: number;
  readonly streams: number;
  readonly channels: readonly string[];
}

/** Several client processes that together hold many streams open. */
export class Holders {
  readonly #clients: { readonly child: ChildProcess; readonly stderr: () => string }[];

  constructor(processes: number) {
    this.#clients = Array.from({ length: processes }, () => startLoadProcess(PROGRAM));
  }

  /** Opens all streams, shared out evenly, and waits for the first response of each. */
  async open(options: OpenOptions): Promise<void> {
    const count = this.#clients.length;
    const share = (total: number, index: number) => Math.floor((total + index) / count);
    let firstSubscriber = 0;
    const commands = this.#clients.map((_, index): HoldCommand => {
      const streams = share(options.streams, index);
      const connections = share(options.connections, index);
      const command = { kind: "open", port: options.port, connections, streams, firstSubscriber } as const;
      firstSubscriber += streams;
      return { ...command, channels: options.channels };
    });
    await Promise.all(commands.map((command, index) => this.#ask(index, command)));
  }

  /** Sends the same command to all; the answers are in the order of the processes. */
  all(command: HoldCommand): Promise<HoldReply[]> {
    return Promise.all(this.#clients.map((_, index) => this.#ask(index, command)));
  }

  /** Waits until every stream has so many messages, when each reads the same channel. */
  async everyStreamHas(messages: number, streams: number): Promise<HoldReply[]> {
    const count = this.#clients.length;
    const expected = this.#clients.map((_, index) => Math.floor((streams + index) / count) * messages);
    return Promise.all(expected.map((deliveries, index) => this.#ask(index, { kind: "await", deliveries })));
  }

  close(): void {
    for (const { child } of this.#clients) child.kill();
  }

  #ask(index: number, command: HoldCommand): Promise<HoldReply> {
    const { child, stderr } = this.#clients[index]!;
    return new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`a client process died while it held streams\n${stderr()}`));
      child.once("exit", onExit);
      child.once("message", (reply: HoldReply) => {
        child.removeListener("exit", onExit);
        if (command.kind === "open" && reply.problem) reject(new Error(reply.problem));
        else resolve(reply);
      });
      child.send(command);
    });
  }
}
