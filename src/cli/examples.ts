/** The part of a command's help that shows it at work. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line.startsWith("#") ? line : `$ ${line}`}`).join("\n")}\n`;
}
