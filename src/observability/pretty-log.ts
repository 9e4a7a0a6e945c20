import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

const LEVEL_STYLES: Readonly<Record<string, Style>> = { debug: "gray", info: "green", warn: "yellow", error: "red" };
const HIDDEN = new Set(["level", "time", "msg"]);

/** One JSON log line for a person: time, level, text, then the fields; stacks on lines of their own. */
export function formatLogLine(line: string, colours: boolean): string {
  const entry = parse(line);
  if (entry === undefined) return line;
  const paint = (style: Style, text: string) => (colours ? styleText(style, text, { validateStream: false }) : text);
  const level = String(entry["level"]);
  const words = [
    paint("gray", String(entry["time"]).slice(11, 23)),
    paint(LEVEL_STYLES[level] ?? "gray", level.toUpperCase().padEnd(5)),
    printable(String(entry["msg"] ?? "")),
  ];
  const stacks: string[] = [];
  for (const [key, value] of Object.entries(entry)) {
    if (HIDDEN.has(key)) continue;
    const stack = stackOf(value);
    if (stack !== undefined) stacks.push(`${key}: ${stack}`);
    else words.push(paint("gray", `${key}=${valueText(value)}`));
  }
  return `${[words.join(" "), ...stacks].join("\n  ")}\n`;
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function stackOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("stack" in value)) return undefined;
  return String(value.stack).split("\n").map(printable).join("\n  ");
}

function valueText(value: unknown): string {
  if (typeof value === "string") return quoted(value);
  // An error without a stack: its words are what a person wants.
  const isError = typeof value === "object" && value !== null && "type" in value && "message" in value;
  return isError ? quoted(String(value.message)) : printable(JSON.stringify(value));
}

/** Without control characters: what clients send must not move a terminal's cursor or forge a line. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function quoted(text: string): string {
  return /^[\w.:/@+-]+$/.test(text) ? text : printable(JSON.stringify(text));
}
