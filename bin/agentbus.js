#!/usr/bin/env node
// Kept in the JavaScript of Node 12, so that an old Node gets as far as saying what it lacks.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import * as nodeModule from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NEEDED_MAJOR = 24;
const self = fileURLToPath(import.meta.url);
const home = dirname(dirname(self));

if (Number.parseInt(process.versions.node, 10) >= NEEDED_MAJOR) {
  endWithParent();
  start();
} else {
  const newer = process.env.AGENTBUS_NODE_FOUND === undefined ? findNode() : undefined;
  if (newer === undefined) refuse();
  else runUnder(newer);
}

function start() {
  // A checkout has sources, which Node runs as they are; the package has what was built from them.
  const source = join(home, "src", "main.ts");
  // What is compiled once starts in half the time after that.
  if (nodeModule.enableCompileCache !== undefined) nodeModule.enableCompileCache();
  const entry = existsSync(source) ? source : join(home, "dist", "src", "main.js");
  import(pathToFileURL(entry).href).catch((error) => {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    process.stderr.write(`${error.message}\nSomething is not installed or not built. In a checkout, run: npm ci\n`);
    process.exitCode = 1;
  });
}

/** The Node of the npm package "node", which a checkout installs: here or in a folder above. */
function findNode() {
  const program = process.platform === "win32" ? "node.exe" : "node";
  for (let folder = home; ; folder = dirname(folder)) {
    const candidate = join(folder, "node_modules", "node", "bin", program);
    if (existsSync(candidate)) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

function refuse() {
  process.stderr.write(
    `agentbus needs Node.js ${NEEDED_MAJOR} or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      `Install it from https://nodejs.org or with your version manager, for example: nvm install ${NEEDED_MAJOR}\n` +
      "In a checkout, npm ci brings one along (unless npm was told to skip install scripts).\n",
  );
  process.exitCode = 1;
}

/** Becomes a wrapper around the newer Node: signals go in, the exit comes out. */
function runUnder(node) {
  const child = spawn(node, [self].concat(process.argv.slice(2)), {
    // The channel tells the child when the wrapper is gone, also when it was killed without a chance to say so.
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: Object.assign({}, process.env, { AGENTBUS_NODE_FOUND: node }),
  });
  // A terminal sends these to the wrapper and its child alike: twice would mean "at once" to a server that drains.
  const fromTerminal = process.stdin.isTTY ? ["SIGINT", "SIGHUP", "SIGQUIT"] : [];
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR2"]) {
    process.on(signal, () => {
      if (!fromTerminal.includes(signal)) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`${node} does not start: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** Under a wrapper that is gone nobody could stop this process any more. */
function endWithParent() {
  if (process.env.AGENTBUS_NODE_FOUND === undefined || process.channel === undefined) return;
  process.on("disconnect", () => process.exit(1));
  process.channel.unref();
}
