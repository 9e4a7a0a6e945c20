import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { within } from "../../support/wait.ts";
import { DevTools } from "./devtools.ts";

const START_MS = 40_000;
const ARGS = [
  "--headless",
  "--remote-debugging-port=0",
  // Nothing of it asks the network for anything but the page.
  ...["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  ...["--disable-gpu", "--disable-dev-shm-usage", "--mute-audio"],
  // The bus's certificate is signed by itself.
  "--ignore-certificate-errors",
  // Chromium refuses to run its sandbox as root, which containers of a CI are.
  ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
];

/** A Chromium without windows, with a profile of its own. */
export interface Browser {
  /** Opens a page and resolves when it is loaded. */
  open(url: string): Promise<Page>;
  close(): Promise<void>;
}

/** One tab. */
export interface Page {
  /**
   * Runs a function in the page and answers what it resolves to, as JSON. The function is sent as text: it sees the page
   * and its own arguments, nothing of the test. Rejects with what it throws.
   */
  run<const A extends readonly unknown[], R>(task: (...args: A) => R | Promise<R>, ...args: A): Promise<R>;
  /** Leaves for another page in the same tab. */
  goTo(url: string): Promise<void>;
  reload(): Promise<void>;
  /** As the button does; the page before may be as it was left, or loaded anew. */
  goBack(): Promise<void>;
  /** Freezes the page's tasks as a browser does with a tab that nobody looks at; or lets them go on. */
  setFrozen(frozen: boolean): Promise<void>;
  /** Everything that the page and the browser wrote to the console, for the message of a failed test. */
  readonly console: readonly string[];
  close(): Promise<void>;
}

export async function launchBrowser(program: string): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), "agentbus-browser-"));
  const child = spawn(program, [...ARGS, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true, // a process group: it is many processes, which end together
  });
  const ended = once(child, "exit");
  ended.catch(() => {}); // told by the wait for its address
  async function end(): Promise<void> {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // It ended in this moment.
      }
      await ended;
    }
    await rm(profile, { recursive: true, force: true, maxRetries: 10 });
  }
  try {
    const url = await within(addressOf(child), { timeoutMs: START_MS, what: `${program} to listen for DevTools` });
    const tools = await DevTools.connect(url);
    return {
      open: (page) => openPage(tools, page),
      async close() {
        tools.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Where it listens for DevTools, which it writes to standard error. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    child.stderr!.setEncoding("utf8").on("data", (chunk: string) => {
      text = (text + chunk).slice(-20_000);
      const address = /DevTools listening on (ws:\S+)/.exec(text)?.[1];
      if (address !== undefined) resolve(address);
    });
    child.once("error", reject);
    child.once("exit", (code, signal) => reject(new Error(`the browser ended with ${code ?? signal}\n${text}`)));
  });
}

async function openPage(tools: DevTools, url: string): Promise<Page> {
  const { targetId } = await tools.send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await tools.send("Target.attachToTarget", { targetId, flatten: true });
  const session = String(sessionId);
  const send = (method: string, params: Readonly<Record<string, unknown>> = {}) => tools.send(method, params, session);
  const lines: string[] = [];
  let loaded = () => {};
  tools.listen(session, (method, params) => {
    // A page that the browser kept is not loaded again.
    const isBack = method === "Page.frameNavigated" && params["type"] === "BackForwardCacheRestore";
    if (method === "Page.loadEventFired" || isBack) loaded();
    if (/^(Log\.entryAdded|Runtime\.(consoleAPICalled|exceptionThrown))$/.test(method)) {
      lines.push(`${method} ${JSON.stringify(params)}`);
    }
  });
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`);

  async function load(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<void> {
    const done = new Promise<void>((resolve) => {
      loaded = resolve;
    });
    await send(method, params);
    await within(done, { timeoutMs: START_MS, what: () => `${method} to load a page\n${lines.join("\n")}` });
  }
  const goTo = (address: string) => load("Page.navigate", { url: address });
  await goTo(url);
  return {
    goTo,
    reload: () => load("Page.reload"),
    async goBack() {
      const { currentIndex, entries } = await send("Page.getNavigationHistory");
      const entry = (entries as readonly { id: number }[])[Number(currentIndex) - 1];
      await load("Page.navigateToHistoryEntry", { entryId: entry?.id });
    },
    console: lines,
    async run<A extends readonly unknown[], R>(task: (...args: A) => R | Promise<R>, ...args: A): Promise<R> {
      const expression = `(${task})(...${JSON.stringify(args)})`;
      const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
      const failure = answer["exceptionDetails"] as { exception?: { description?: string } } | undefined;
      if (failure !== undefined) {
        throw new Error(`in the page: ${failure.exception?.description ?? JSON.stringify(failure)}`);
      }
      return (answer["result"] as { value?: unknown }).value as R;
    },
    setFrozen: async (frozen) =>
      void (await send("Page.setWebLifecycleState", { state: frozen ? "frozen" : "active" })),
    close: async () => void (await tools.send("Target.closeTarget", { targetId })),
  };
}
