import { runProgram } from "./cli/program.ts";
import { createApiKey } from "./server/api-keys.ts";

const { stdin, stdout, stderr } = process;
// A reader that left, as `head` does, is no failure; commands that print much notice by themselves.
for (const stream of [stdout, stderr]) stream.on("error", () => {});
const code = await runProgram(process.argv.slice(2), { streams: { stdin, stdout, stderr }, createApiKey });
process.exitCode = code;
// What a failed start left open must not keep the process: nobody is waiting for it any more.
if (code !== 0) process.exit();
