import { createHash } from "node:crypto";

/**
 * What the server checks before it starts a script, so that a refused one has done nothing at all:
 * - "write": refused when memory is full, on a replica, and when the server cannot write to its disk.
 * - "free": as "write", but allowed when memory is full, because it makes room.
 * - "read": writes nothing, always allowed on a master.
 */
export type ScriptAccess = "write" | "free" | "read";

/** One atomic step of the server: Lua, run by its digest. */
export interface RedisScript {
  readonly name: string;
  readonly source: string;
  readonly sha1: string;
}

const FLAGS = { write: "", free: " flags=allow-oom", read: " flags=no-writes" } as const;

/** Puts a script together from library parts and its own body. The first line tells the server its flags (Redis 7). */
export function defineScript(name: string, access: ScriptAccess, ...parts: readonly string[]): RedisScript {
  const source = `#!lua${FLAGS[access]}\n${parts.map((part) => part.trim()).join("\n\n")}\n`;
  return { name, source, sha1: createHash("sha1").update(source).digest("hex") };
}
