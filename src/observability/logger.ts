import { type DestinationStream, destination, pino, stdTimeFunctions } from "pino";
import type { Logger } from "../core/logger.ts";
import { errorFields } from "./error-fields.ts";
import { formatLogLine } from "./pretty-log.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** The least that is logged. Default: "info". */
  readonly level?: LogLevel;
  /** "json": one object a line. "pretty": lines for people. "auto" (default): pretty on a terminal, else json. */
  readonly format?: "auto" | "json" | "pretty";
  /** Fields on every line, such as the node's id. Default: none. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Where lines go. Default: standard output. */
  readonly output?: LogOutput;
}

export interface LogOutput {
  write(line: string): void;
  /** Whether a person reads it: decides what "auto" means, and colours. */
  readonly isTTY?: boolean;
}

/** A logger whose last lines can be brought out before the process ends. */
export interface ProcessLogger extends Logger {
  /** Writes what is still buffered. Does not throw. */
  flush(): void;
}

/** Lines kept for a reader of standard output that does not read; beyond, lines are dropped and never the server held. */
const MAX_BUFFERED_BYTES = 4_194_304;

const SECRET_FIELDS = [
  "authorization",
  "Authorization",
  "cookie",
  "token",
  "apiKey",
  "password",
  "secret",
  "payload",
  "data",
];
// How deep secrets are looked for: log.info({ request: { headers: { authorization } } }, ...) is as deep as it gets.
const SECRET_PATHS = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`, `*.*.${field}`]);

/**
 * Logs structured lines. Fields called authorization, cookie, token, apiKey, password, secret, payload or data are
 * replaced by "[redacted]"; of errors under `error`, `err` or `cause`, those that are bugs are logged with their stack.
 */
export function createLogger(options: LoggerOptions = {}): ProcessLogger {
  const { level = "info", format = "auto", fields = {}, output = standardOutput() } = options;
  const pretty = format === "pretty" || (format === "auto" && output.isTTY === true);
  const stream: DestinationStream = pretty
    ? { write: (line) => output.write(formatLogLine(line, output.isTTY === true)) }
    : output;
  const log = pino(
    {
      level,
      base: fields,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: "[redacted]" },
      serializers: { err: errorFields, error: errorFields, cause: errorFields },
    },
    stream,
  );
  return {
    debug: (data, text) => log.debug(data, text),
    info: (data, text) => log.info(data, text),
    warn: (data, text) => log.warn(data, text),
    error: (data, text) => log.error(data, text),
    flush: () => (output as Partial<StandardOutput>).flush?.(),
  };
}

interface StandardOutput extends LogOutput {
  flush(): void;
}

// Not process.stdout: writing there blocks while a pipe's reader is stuck.
function standardOutput(): StandardOutput {
  const stdout = destination({ fd: 1, sync: false, maxLength: MAX_BUFFERED_BYTES });
  // A reader that left (`agentbus serve | head`) must not end the server.
  stdout.on("error", () => {});
  return {
    isTTY: process.stdout.isTTY === true,
    write: (line) => void stdout.write(line),
    flush: () => {
      try {
        stdout.flushSync();
      } catch {
        // Standard output is closed, or was never opened: there is nobody to tell.
      }
    },
  };
}
