import { PassThrough, Writable } from "node:stream";
import type { Command } from "commander";
import { createProgram } from "./program.ts";

const INTRODUCTION = `# Command line

Generated from src/cli by \`node scripts/cli-docs.ts\`. Do not edit. Each command explains itself with \`--help\`.

A command whose options take JSON or words of the contract takes them as the contract's documentation says. Text that
begins with a dash goes behind \`--\`.
`;
const WIDTH = 118;

/** The page docs/cli.md: what `--help` says, of every command. */
export function commandLineReference(): string {
  let text = "";
  const collect = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const program = createProgram({
    streams: { stdin: new PassThrough(), stdout: collect, stderr: collect },
    createApiKey: () => ({ key: "", sha256: "" }),
  });
  const helpOf = (command: Command) => {
    text = "";
    command.configureOutput({ getOutHelpWidth: () => WIDTH, getOutHasColors: () => false }).outputHelp();
    return text.trimEnd();
  };
  const sections = [...withSubcommands(program)].map(
    ([name, command]) => `## ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  );
  return [INTRODUCTION, ...sections].join("\n");
}

function* withSubcommands(command: Command, above = ""): Generator<[name: string, command: Command]> {
  const name = `${above} ${command.name()}`.trim();
  yield [name, command];
  for (const inner of command.commands) yield* withSubcommands(inner, name);
}
