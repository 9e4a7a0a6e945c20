import type { z } from "zod";
import type { SchemaNode } from "./environment.ts";
import { valueAt } from "./layers.ts";

/** "rooms[0].channels[1].channel" */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

/** What is wrong and what is right, in words. */
export function faultMessage(issue: z.core.$ZodIssue, values: unknown, schema: SchemaNode | undefined): string {
  const given = givenText(issue.path, values);
  switch (issue.code) {
    case "unrecognized_keys": {
      const keys = issue.keys.map((key) => JSON.stringify(key)).join(", ");
      const known = Object.keys(schema?.properties ?? {}).join(", ");
      return `unknown ${issue.keys.length === 1 ? "key" : "keys"} ${keys}; known here: ${known}`;
    }
    case "invalid_type":
      return given === "" ? "is missing" : `must be ${expectedText(issue.expected)}${given}`;
    case "invalid_union":
      return `must be a ${schema?.["x-unit"] ?? "number or a string"}${given}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}${given}`;
    case "too_small":
      return `must ${boundText(issue.origin)}at least ${issue.minimum}${given}`;
    case "too_big":
      return `must ${boundText(issue.origin)}at most ${issue.maximum}${given}`;
    default:
      return `${issue.message}${given}`;
  }
}

function expectedText(expected: string): string {
  if (expected === "int") return "a whole number";
  if (expected === "array") return "a list";
  if (expected === "object" || expected === "record") return "a map";
  return `a ${expected}`;
}

function boundText(origin: string): string {
  return origin === "string" ? "have a length of " : origin === "array" ? "have a number of entries of " : "be ";
}

/** ", got 70000"; "" when nothing was given. What stands under `auth` may be a key pasted by mistake: not shown. */
function givenText(path: readonly PropertyKey[], values: unknown): string {
  const value = valueAt(values, path);
  if (value === undefined) return "";
  if (path[0] === "auth" && path.at(-1) === "sha256") return ", got something else";
  if (typeof value === "object" && value !== null) return `, got a ${Array.isArray(value) ? "list" : "map"}`;
  const text = JSON.stringify(value);
  return `, got ${text.length > 80 ? `${text.slice(0, 77)}...` : text}`;
}
