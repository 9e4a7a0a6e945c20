import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../load/main.ts", import.meta.url));
const KEPT_OUTPUT_BYTES = 4_000;

/** Starts a client process. What it prints to stderr is kept and shown should it die. */
export function startLoadProcess(program: string = PROGRAM): { child: ChildProcess; stderr: () => string } {
  const child = fork(program, { stdio: ["ignore", "ignore", "pipe", "ipc"], serialization: "advanced" });
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-KEPT_OUTPUT_BYTES);
  });
  return { child, stderr: () => text };
}

/** Carries one job out in a process of its own, so that no job runs on what another one left warm or dirty. */
export function runJob<Job extends object, Result extends object>(job: Job): Promise<Result> {
  return new Promise((resolve, reject) => {
    const { child, stderr } = startLoadProcess();
    child.once("message", (answer: Result | { readonly error: string }) => {
      if ("error" in answer) reject(new Error(answer.error));
      else resolve(answer);
    });
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`the client process ended with code ${code}\n${stderr()}`)));
    child.send(job);
  });
}
