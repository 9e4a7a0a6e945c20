import type { ChannelName } from "../../core/names.ts";

/**
 * Names of keys. What one step touches has one hash tag, the part in braces, so that a cluster keeps it on one server:
 * a channel has one, a kind of records has one. Names and kinds contain no braces.
 */
export class RedisKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get layout(): string {
    return `{${this.#prefix}}:layout`;
  }

  /** Pub/sub channel of the doorbell. */
  get rings(): string {
    return `${this.#prefix}:rings`;
  }

  /** Pub/sub channel of the relay. */
  get packets(): string {
    return `${this.#prefix}:packets`;
  }

  log(name: ChannelName): string {
    return `${this.#tag(name.key)}:log`;
  }

  /** The log's hash and its stream. */
  logAndStream(name: ChannelName): readonly string[] {
    const tag = this.#tag(name.key);
    return [`${tag}:log`, `${tag}:stream`];
  }

  /** Everything of a channel. */
  channel(name: ChannelName): readonly string[] {
    const tag = this.#tag(name.key);
    return [`${tag}:log`, `${tag}:stream`, `${tag}:keys:0`, `${tag}:keys:1`];
  }

  /** Everything of a kind of records. */
  records(kind: string): readonly string[] {
    const tag = this.#tag(kind);
    return [`${tag}:records`, `${tag}:index`, `${tag}:counts`, `${tag}:expiry`];
  }

  /** A pattern that the first of `records` matches, whatever the kind. */
  get recordsOfAnyKind(): string {
    return `{${this.#prefix}:*}:records`;
  }

  #tag(name: string): string {
    return `{${this.#prefix}:${name}}`;
  }
}
