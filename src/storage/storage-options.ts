/** What an option may be: an integer in a closed range, with its default. */
export interface IntegerOption {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Reads an adapter's integer options and fills in defaults. Throws one Error that names every option that is unknown,
 * not an integer or out of its range.
 */
export function resolveIntegerOptions<const K extends string>(
  kind: string,
  options: Readonly<Record<string, unknown>>,
  known: Readonly<Record<K, IntegerOption>>,
): Readonly<Record<K, number>> {
  const faults: string[] = [];
  const resolved = {} as Record<K, number>;
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(known, name)) faults.push(`${name} is unknown; known are ${Object.keys(known).join(", ")}`);
  }
  for (const name of Object.keys(known) as K[]) {
    const { default: fallback, min, max } = known[name];
    const value = options[name] ?? fallback;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max)
      resolved[name] = value;
    else faults.push(`${name} must be an integer from ${min} to ${max}, not ${JSON.stringify(value) ?? String(value)}`);
  }
  if (faults.length > 0) throw new Error(`options of the ${kind} storage: ${faults.join("; ")}`);
  return resolved;
}
