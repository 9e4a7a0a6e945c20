import { readFile, rename, writeFile } from "node:fs/promises";
import type { PositionStore } from "agentbus/node";

/** Keeps positions in a JSON file, so that the next run goes on where this one stopped. */
export class PositionFile implements PositionStore {
  readonly #path: string;
  #saved: Record<string, readonly string[]> = {};

  constructor(path: string) {
    this.#path = path;
  }

  async load(name: string): Promise<readonly string[] | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    this.#saved = parsePositions(text, this.#path);
    return this.#saved[name];
  }

  async save(name: string, positions: readonly string[]): Promise<void> {
    this.#saved[name] = positions;
    // Beside it and then over it: a crash leaves the old file or the new one, never half of one.
    const beside = `${this.#path}.${process.pid}.tmp`;
    await writeFile(beside, `${JSON.stringify(this.#saved, undefined, 2)}\n`);
    await rename(beside, this.#path);
  }
}

function parsePositions(text: string, path: string): Record<string, readonly string[]> {
  try {
    const value = JSON.parse(text) as unknown;
    const isPositions = (entry: unknown) => Array.isArray(entry) && entry.every((item) => typeof item === "string");
    if (typeof value === "object" && value !== null && Object.values(value).every(isPositions)) {
      return { ...(value as Record<string, readonly string[]>) };
    }
  } catch {
    // Told below: what the parser has to say is about characters, not about the file.
  }
  throw new Error(`${path} holds no positions: name another file, or remove it to start anew`);
}
