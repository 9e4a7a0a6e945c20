/** One thing that is wrong with a configuration. */
export interface ConfigFault {
  /** For example "server.port" or "rooms[0].channels[1].channel"; "" for the whole. */
  readonly path: string;
  /** Where the value came from: the file, the environment variable or "flags"; "" for a default. */
  readonly source: string;
  /** What is wrong and what is right. */
  readonly message: string;
}

/** A configuration that cannot be used. Its message lists all faults, one a line. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(["The configuration cannot be used:", ...faults.map(faultText)].join("\n"));
    this.faults = faults;
  }
}

function faultText({ path, source, message }: ConfigFault): string {
  const where = [path, source === "" ? "" : `(from ${source})`].filter((part) => part !== "").join(" ");
  return `  - ${where === "" ? "" : `${where}: `}${message}`;
}
