import type { StorageAdapter, StorageEnvironment, StorageFactory } from "./storage-adapter.ts";

/** Kinds of storage by the scheme of their URL. */
export class StorageRegistry {
  readonly #factories = new Map<string, StorageFactory>();

  /** Makes `scheme:` URLs known. The same scheme again replaces it. */
  register(scheme: string, factory: StorageFactory): this {
    this.#factories.set(scheme, factory);
    return this;
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
    const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
    const factory = scheme === undefined ? undefined : this.#factories.get(scheme);
    if (factory === undefined) {
      throw new Error(`storage ${JSON.stringify(url)}: give one of ${this.schemes.map((s) => `${s}:`).join(", ")}`);
    }
    return await factory(url, options, environment);
  }
}
