import { PassThrough, Writable } from "node:stream";
import type { Command } from "commander";
import { createProgram } from "./program.ts";

const INTRODUCTION = `# Command line

Generated from src/cli by \`node scripts/cli-docs.ts\`. Do not edit. Each command explains itself with \`--help\`.

The options of \`agentbus\` itself (\`--url\`, \`--api-key\`, \`--agent\`, \`--json\`) stand before or behind any command. Text that
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
    // The first section has them; in each of the others they would be noise.
    command.configureHelp({ showGlobalOptions: false });
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
