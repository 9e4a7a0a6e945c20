import { CommanderError } from "commander";
import { ConfigError } from "../config/config-error.ts";
import { EXIT, type ExitCode, Interrupted, UsageError } from "./exit-code.ts";

/** A failure as it is told: to a person as text, to a program as JSON on one line. */
export interface Failure {
  readonly exitCode: ExitCode;
  /** Empty: nothing needs to be said. */
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

/** What the bus's SDK, and the bus itself, throw on purpose; told by its name, so that telling needs neither loaded. */
interface BusFailure extends Error {
  readonly code: string;
  readonly reason: string;
  readonly retry?: string;
  readonly retryDelayMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly { readonly field: string; readonly description: string }[];
}

/** `url`: the bus that the command talked to; undefined: none. */
export function describeFailure(error: unknown, url: string | undefined): Failure {
  if (error instanceof CommanderError) return ofCommander(error);
  if (error instanceof UsageError) return usage(error.message);
  if (error instanceof Interrupted) {
    return { exitCode: EXIT.INTERRUPTED, text: error.message, json: { kind: "interrupted", message: error.message } };
  }
  if (error instanceof ConfigError) {
    const { message, faults } = error;
    return { exitCode: EXIT.USAGE, text: message, json: { kind: "config", message, faults } };
  }
  if (isBusFailure(error)) return ofBus(error, url);
  const message = error instanceof Error ? error.message : String(error);
  return { exitCode: EXIT.FAILURE, text: textOf(error), json: { kind: "failure", message } };
}

function ofCommander({ exitCode, code, message }: CommanderError): Failure {
  // Help and version were asked for, and are printed already.
  if (exitCode === 0) return { exitCode: EXIT.OK, text: "", json: {} };
  // A command that only has subcommands prints its help when it is given none.
  if (code === "commander.help") return { exitCode: EXIT.USAGE, text: "", json: { kind: "usage", message } };
  return usage(message.replace(/^error: /, ""));
}

function usage(message: string): Failure {
  return { exitCode: EXIT.USAGE, text: message, json: { kind: "usage", message } };
}

function isBusFailure(error: unknown): error is BusFailure {
  return error instanceof Error && error.name === "BusError" && "code" in error && "reason" in error;
}

function ofBus(error: BusFailure, url: string | undefined): Failure {
  const { code, reason, message, retry, retryDelayMs, metadata = {}, violations = [] } = error;
  const hint = url === undefined ? undefined : hintFor(error, url);
  const lines = [
    `${reason === "" ? code : reason}: ${message}`,
    ...violations.map(({ field, description }) => `  ${field}: ${description}`),
    ...(hint === undefined ? [] : [hint]),
  ];
  return {
    exitCode: EXIT.FAILURE,
    text: lines.join("\n"),
    json: { kind: "bus", code, reason, message, retry, retryDelayMs, metadata, violations, hint },
  };
}

/** What a person can do. */
function hintFor({ code, reason }: BusFailure, url: string): string | undefined {
  if (reason === "UNAUTHENTICATED") return "Give an API key: --api-key, or the variable AGENTBUS_API_KEY.";
  if (reason === "AGENT_ID_REQUIRED" || reason === "AGENT_NOT_ALLOWED") {
    return "Say who acts: --agent, or the variable AGENTBUS_AGENT.";
  }
  // Without a reason it was not the bus that said so, but the way to it.
  if (reason !== "" || (code !== "UNAVAILABLE" && code !== "INTERNAL" && code !== "UNKNOWN")) return undefined;
  return `No bus answers at ${url}. Start one with "agentbus serve", or name another: --url, or the variable AGENTBUS_URL.`;
}

/** A plain Error says what a person can act on; of any other kind it is a bug, and the stack tells where. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const expected = Object.getPrototypeOf(error) === Error.prototype || error.name === "SubscriptionEnded";
  return expected ? error.message : (error.stack ?? error.message);
}
