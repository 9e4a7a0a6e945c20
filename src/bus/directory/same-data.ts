/** Whether two values are the same as JSON: the order of keys does not count, and an undefined key is no key. */
export function sameData(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, at) => sameData(item, b[at]))
    );
  }
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const key of keys) {
    const mine = Object.hasOwn(left, key) ? left[key] : undefined;
    const others = Object.hasOwn(right, key) ? right[key] : undefined;
    if (!sameData(mine, others)) return false;
  }
  return true;
}
