import { stdSerializers } from "pino";
import { isBusError } from "../core/errors.ts";

/** What the language throws when the program is wrong. */
const BUGS = [TypeError, RangeError, ReferenceError, SyntaxError, EvalError];

/**
 * What a log line tells of an error. One that operation brings, such as a server that is away, says everything in its
 * words, and comes again and again: a stack would only hide them. Everything else is a bug, whose stack says where.
 */
export function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (!isExpected(error) || chainOf(error).some(isBug)) return stdSerializers.err(error);
  const { message } = error;
  const causes = chainOf(error)
    .slice(1)
    .map((cause) => cause.message)
    .filter((text) => !message.includes(text));
  return {
    type: error.name,
    ...(isBusError(error) ? { reason: error.reason } : { code: (error as NodeJS.ErrnoException).code }),
    message: [message, ...causes].join(": "),
  };
}

function isExpected(error: Error): boolean {
  // A failed call to the system names it.
  return (isBusError(error) && error.reason !== "INTERNAL") || "syscall" in error;
}

function isBug(error: Error): boolean {
  return BUGS.some((kind) => error instanceof kind);
}

/** The error and its causes; bounded, for they may form a ring. */
function chainOf(error: Error): readonly Error[] {
  const chain = [error];
  for (let { cause } = error; cause instanceof Error && !chain.includes(cause); { cause } = cause) chain.push(cause);
  return chain;
}
