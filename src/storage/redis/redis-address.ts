/** Where the server is, as a URL says it. */
export interface RedisAddress {
  readonly topology: "single" | "sentinel" | "cluster";
  /** The server, the sentinels, or some nodes of the cluster. */
  readonly hosts: readonly RedisHost[];
  /** The name under which the sentinels know the master; "" unless there are sentinels. */
  readonly master: string;
  readonly username: string;
  readonly password: string;
  readonly db: number;
  readonly tls: boolean;
}

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

const FORMS =
  "write redis://user:password@host:6379/0 (rediss:// for TLS), redis+cluster://host:6379,host:6379, or redis+sentinel://host:26379,host:26379/master/0";
const SCHEME = /^(redis|rediss)(?:\+(cluster|sentinel))?:\/\/(.*)$/i;

/** Reads a URL. Throws an Error that says which form is meant; the password is not in it. */
export function parseRedisAddress(url: string): RedisAddress {
  const scheme = SCHEME.exec(url);
  if (scheme === null) throw wrong("the scheme is unknown");
  const [, protocol, kind, rest] = scheme as unknown as [string, string, string | undefined, string];
  const [main, query = ""] = split(rest, "?");
  const [authority, path = ""] = split(main, "/");
  const at = authority.lastIndexOf("@");
  const [username, password = ""] = split(at < 0 ? ":" : authority.slice(0, at), ":");
  const isCluster = kind?.toLowerCase() === "cluster" || readQuery(query);
  const topology = kind?.toLowerCase() === "sentinel" ? "sentinel" : isCluster ? "cluster" : "single";
  const hosts = authority
    .slice(at + 1)
    .split(",")
    .map((text) => parseHost(text, topology === "sentinel" ? 26_379 : 6_379));
  if (topology === "single" && hosts.length > 1) throw wrong("several hosts need redis+cluster: or redis+sentinel:");
  const parts = path.split("/").filter((part) => part !== "");
  const master = topology === "sentinel" ? decode(parts.shift() ?? "") : "";
  if (topology === "sentinel" && master === "") throw wrong("the name of the master is missing behind the sentinels");
  const db = parts.length === 0 ? 0 : Number(parts.shift());
  if (!Number.isInteger(db) || db < 0 || db > 65_535 || parts.length > 0) {
    throw wrong("behind the host comes the number of a database and nothing else");
  }
  if (topology === "cluster" && db !== 0) throw wrong("a cluster has database 0 alone");
  return {
    topology,
    hosts,
    master,
    username: decode(username),
    password: decode(password),
    db,
    tls: protocol.toLowerCase() === "rediss",
  };
}

/** For people: hosts and topology, nothing secret. */
export function describeAddress({ topology, hosts, master }: RedisAddress): string {
  const list = hosts.map(({ host, port }) => `${host}:${port}`).join(",");
  if (topology === "single") return `Redis at ${list}`;
  return topology === "cluster" ? `Redis Cluster at ${list}` : `Redis master ${master} of the sentinels at ${list}`;
}

/** Whether it is a cluster. */
function readQuery(query: string): boolean {
  let isCluster = false;
  for (const [name, value] of new URLSearchParams(query)) {
    if (name !== "cluster" || (value !== "true" && value !== "false")) {
      throw wrong("the only parameters are prefix and cluster=true; everything else is an option of the storage");
    }
    isCluster = value === "true";
  }
  return isCluster;
}

function parseHost(text: string, defaultPort: number): RedisHost {
  const parts = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text);
  const port = Number(parts?.[2] ?? defaultPort);
  if (parts === null || port < 1 || port > 65_535) throw wrong("a host is written name, name:port or [address]:port");
  return { host: parts[1]!.replace(/^\[|\]$/g, ""), port };
}

function split(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong("a % in user, password or master must be written %25");
  }
}

function wrong(what: string): Error {
  return new Error(`the storage's redis URL is wrong: ${what}; ${FORMS}`);
}
