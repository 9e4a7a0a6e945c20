import type { StorageAdapter, StorageEnvironment, StorageFactory } from "./storage-adapter.ts";

export interface StorageTraits {
  /**
   * It is a server somewhere, which may come later than the node: a node that starts waits for it, serving health and
   * refusing everything else with STORAGE_UNAVAILABLE. Default: no, a storage that cannot be opened ends the start.
   */
  readonly remote?: boolean;
}

/** Kinds of storage by the scheme of their URL. */
export class StorageRegistry {
  readonly #factories = new Map<string, StorageFactory>();
  readonly #remote = new Set<string>();

  /** Makes `scheme:` URLs known. The same scheme again replaces it. */
  register(scheme: string, factory: StorageFactory, { remote = false }: StorageTraits = {}): this {
    this.#factories.set(scheme, factory);
    if (remote) this.#remote.add(scheme);
    else this.#remote.delete(scheme);
    return this;
  }

  /** Whether the URL names a storage that a node waits for. */
  isRemote(url: string): boolean {
    return this.#remote.has(schemeOf(url) ?? "");
  }

  get schemes(): readonly string[] {
    return [...this.#factories.keys()].sort();
  }

  /** Opens what the URL names. Throws when no such kind is registered. */
  async open(
    url: string,
    options: Readonly<Record<string, unknown>>,
    environment: StorageEnvironment,
  ): Promise<StorageAdapter> {
    const scheme = schemeOf(url);
    const factory = scheme === undefined ? undefined : this.#factories.get(scheme);
    if (factory === undefined) {
      throw new Error(
        `storage ${JSON.stringify(scheme ?? url)}: give one of ${this.schemes.map((s) => `${s}:`).join(", ")}`,
      );
    }
    return await factory(url, options, environment);
  }
}

function schemeOf(url: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
}
