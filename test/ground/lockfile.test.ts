import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "vitest";
import { ROOT } from "../../scripts/root.ts";

interface Locked {
  readonly resolved?: string;
  readonly link?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as { packages: Record<string, Locked> };

describe("package-lock.json", () => {
  it("names no registry: whoever installs uses their own", () => {
    const addresses = Object.values(lock.packages).filter(
      (locked) => locked.link !== true && locked.resolved !== undefined,
    );
    assert.deepEqual(addresses, []);
  });

  // Else npm ci refuses it, on every platform. Repair: node scripts/complete-lockfile.ts
  it("has the packages of every platform", () => {
    const names = new Set(Object.keys(lock.packages).map((path) => path.replace(/^.*node_modules\//, "")));
    const wanted = Object.values(lock.packages).flatMap((locked) => Object.keys(locked.optionalDependencies ?? {}));
    assert.deepEqual(
      wanted.filter((name) => !names.has(name)),
      [],
    );
  });
});
