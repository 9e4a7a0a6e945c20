/** A Host header taken apart. */
interface Authority {
  /** Lower case, brackets and trailing dot removed. */
  readonly name: string;
  /** "" when it names none. */
  readonly port: string;
}

const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^:[\]@/\s]+?)\.?)(?::(\d{1,5}))?$/i;

/** Undefined: it is no host, with or without a port. */
export function parseAuthority(text: string): Authority | undefined {
  const match = AUTHORITY.exec(text);
  if (match === null) return undefined;
  return { name: (match[1] ?? match[2] ?? "").toLowerCase(), port: match[3] ?? "" };
}

/** Whether a name in a Host header means the caller's own machine whatever a name server says. */
export function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/** Answers whether a Host header is among `allowed` ("bus.example.com", "bus.example.com:7400", "[::2]", "*"). */
export function hostMatcher(allowed: readonly string[]): (authority: Authority) => boolean {
  if (allowed.includes("*")) return () => true;
  const entries = new Set<string>();
  for (const text of allowed) {
    const entry = parseAuthority(text);
    if (entry === undefined)
      throw new Error(`allowed host ${JSON.stringify(text)} must be a name or address, with or without a port`);
    entries.add(`${entry.name} ${entry.port}`);
  }
  return ({ name, port }) => entries.has(`${name} `) || entries.has(`${name} ${port}`);
}
