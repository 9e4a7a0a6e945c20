import { runProgram } from "./cli/program.ts";
import { createApiKey } from "./server/api-keys.ts";

const { stdin, stdout, stderr } = process;
const code = await runProgram(process.argv.slice(2), { streams: { stdin, stdout, stderr }, createApiKey });
process.exitCode = code;
// What a failed start left open must not keep the process: nobody is waiting for it any more.
if (code !== 0) process.exit();
