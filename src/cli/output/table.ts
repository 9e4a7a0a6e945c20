import { printable, type Terminal } from "./terminal.ts";

export interface Column<T> {
  readonly heading: string;
  readonly value: (row: T) => string | number;
}

/**
 * Prints rows. For a person: aligned, under headings, and a sentence when there are none. For a program that did not
 * ask for JSON: the values separated by tabs, nothing else.
 */
export async function printTable<T>(
  terminal: Terminal,
  columns: readonly Column<T>[],
  rows: readonly T[],
  nothing: string,
): Promise<void> {
  const cells = rows.map((row) => columns.map(({ value }) => printable(String(value(row))).replaceAll("\t", " ")));
  if (!terminal.interactive) {
    for (const row of cells) await terminal.print(row.join("\t"));
    return;
  }
  if (rows.length === 0) return terminal.print(nothing);
  const headings = columns.map(({ heading }) => heading);
  const widths = columns.map((_column, i) => Math.max(...[headings, ...cells].map((row) => row[i]!.length)));
  const align = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join("  ")
      .trimEnd();
  await terminal.print(terminal.paint("bold", align(headings)));
  for (const row of cells) await terminal.print(align(row));
}

/** Prints named values under each other; those that are empty are left out. */
export async function printDetails(terminal: Terminal, details: Readonly<Record<string, string>>): Promise<void> {
  const given = Object.entries(details).filter(([, value]) => value !== "");
  const width = Math.max(...given.map(([name]) => name.length));
  for (const [name, value] of given) {
    const shown = printable(value);
    await terminal.print(
      terminal.interactive ? `${terminal.paint("gray", name.padEnd(width))}  ${shown}` : `${name}\t${shown}`,
    );
  }
}
