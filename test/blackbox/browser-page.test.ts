import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Sdk from "agentbus";
import { afterAll, afterEach, beforeAll, describe, it, onTestFinished } from "vitest";
import { AgentState } from "../../gen/agentbus/v1/agent_pb.ts";
import { type BusProcess, startBus } from "../support/bus-process.ts";
import { waitUntil } from "../support/wait.ts";
import { openClients } from "../support/wire-clients.ts";
import { type Browser, launchBrowser, type Page } from "./page/browser.ts";
import { describeInBrowser } from "./page/describe-in-browser.ts";
import { type Site, serveSite } from "./page/site.ts";
import { unique } from "./shared-bus.ts";

/** In the page: the SDK, and what a test keeps there from one step to the next. */
declare const document: EventTarget;
declare const agentbus: typeof Sdk;
declare const kept: { bus: Sdk.AgentBus; read: string[]; cuts: number; slept?: boolean };

const PAGE_MS = 30_000;
/** Short, so that who is gone is seen to be gone. */
const LEASE = ["--set", "agents.lease=3s"];

await describeInBrowser((program) => {
  describe("a page in Chromium", () => {
    const folder = mkdtempSync(join(tmpdir(), "agentbus-page-"));
    let site: Site;
    let browser: Browser;
    let page: Page;
    const endings: (() => unknown)[] = [];

    beforeAll(async () => {
      site = await serveSite();
      browser = await launchBrowser(program);
    });
    afterAll(async () => {
      await browser?.close();
      site?.close();
      rmSync(folder, { recursive: true, force: true });
    });
    afterEach(async () => {
      for (const end of endings.splice(0).reverse()) await end();
    });

    async function serve(args: readonly string[] = [], port = 0): Promise<BusProcess> {
      const origins = ["--set", `server.allowedOrigins=${site.origin}`];
      const bus = await startBus({ args: [...origins, ...LEASE, ...args], port });
      endings.push(() => bus.kill());
      return bus;
    }
    /** A new page that has the SDK connected to the bus. */
    async function open(url: string): Promise<void> {
      page = await browser.open(site.origin);
      endings.push(() => page.close());
      onTestFinished(({ task }) => {
        if (task.result?.state === "fail") process.stderr.write(`${page.console.join("\n")}\n`);
      });
      await page.run((address) => {
        // No longer than a test waits: what cannot work shall fail with what it says.
        const bus = new agentbus.AgentBus({ url: address, sendTimeoutMs: 20_000 });
        Object.assign(globalThis, { kept: { bus, read: [], cuts: 0 } });
      }, url);
    }
    /** Reads a channel into `kept.read` until the page ends. */
    const read = (agent: string, channel: string) =>
      page.run(
        async (id, address) => {
          const subscription = kept.bus.agent(id).subscribe({ channels: [address], start: "earliest", echo: true });
          await subscription.ready();
          void (async () => {
            for await (const event of subscription.events()) {
              if (event.type === "message") kept.read.push(event.message.text);
              if (event.type === "cut") kept.cuts++;
            }
          })();
        },
        agent,
        channel,
      );
    const hasRead = (...texts: string[]) =>
      waitUntil(async () => (await page.run(() => kept.read)).length >= texts.length, { timeoutMs: PAGE_MS }).then(
        async () => assert.deepEqual(await page.run(() => kept.read), texts),
      );
    async function publish(url: string, channel: string, text: string): Promise<void> {
      using clients = openClients(url);
      const [room, name] = channel.split(":") as [string, string];
      const messages = [{ payload: { case: "text" as const, value: text } }];
      await clients.bus.publish({ agentId: "server-side", room, channel: name, messages });
    }
    async function stateOf(url: string, agentId: string): Promise<AgentState | undefined> {
      using clients = openClients(url);
      const { agents } = await clients.agents.listAgents({});
      return agents.find((agent) => agent.agentId === agentId)?.state;
    }

    it("S1-6b, S4-7: of another origin publishes, reads what others say as it comes, and asks", async () => {
      const bus = await serve();
      await open(bus.url);
      const channel = `${unique("web")}:talk`;
      await read("paula", channel);
      await page.run((address) => kept.bus.agent("paula").send("from the page", { channel: address }), channel);
      await publish(bus.url, channel, "from elsewhere");
      await hasRead("from the page", "from elsewhere");
      const answer = await page.run(async (address) => {
        const helper = kept.bus.agent("helper");
        const questions = helper.subscribe({ channels: [address] });
        await questions.ready();
        void (async () => {
          for await (const message of questions) await message.reply(`${message.text} 42`);
        })();
        return (await kept.bus.agent("paula").ask("what is it?", { channel: address, timeoutMs: 20_000 })).text;
      }, channel);
      assert.equal(answer, "what is it? 42");
    });

    it("is told why it is refused: the reason, the field, and what to do", async () => {
      const bus = await serve();
      await open(bus.url);
      const refusal = (task: "name" | "recipient") =>
        page.run(async (what) => {
          const paula = kept.bus.agent("paula");
          const sent = what === "name" ? paula.send("x", { channel: "a b:c" }) : paula.send("x", { to: ["nobody"] });
          return sent.then(
            () => Promise.reject(new Error("it was not refused")),
            ({ name, reason, retry, message }: Sdk.BusError) => ({ name, reason, retry, message }),
          );
        }, task);
      const { message, ...badName } = await refusal("name");
      assert.deepEqual(badName, { name: "BusError", reason: "BAD_NAME", retry: "NEVER" });
      assert.match(message, /room "a b" must be/);
      assert.equal((await refusal("recipient")).reason, "UNKNOWN_RECIPIENT");
    });

    it("S3-FR-004: goes on where it was after the node was killed and came back: nothing twice, nothing left out", async () => {
      const storage = ["--storage", `file:${join(folder, "data")}`];
      const first = await serve(storage);
      await open(first.url);
      const channel = `${unique("web")}:talk`;
      await read("paula", channel);
      await publish(first.url, channel, "one");
      await hasRead("one");
      await first.kill();
      await waitUntil(() => page.run(() => kept.cuts > 0), { timeoutMs: PAGE_MS, what: "the page to see the cut" });
      const sending = page.run(async (address) => {
        await kept.bus.agent("paula").send("two", { channel: address });
      }, channel);
      const again = await serve(storage, first.port);
      await sending;
      await publish(again.url, channel, "three");
      await hasRead("one", "two", "three");
    });

    it("that slept gets what was said meanwhile", async () => {
      const bus = await serve(["--set", "heartbeat=1s"]);
      await open(bus.url);
      const channel = `${unique("web")}:talk`;
      await read("paula", channel);
      await publish(bus.url, channel, "one");
      await hasRead("one");
      await page.run(() => document.addEventListener("freeze", () => Object.assign(kept, { slept: true })));
      await page.setFrozen(true);
      for (const text of ["two", "three"]) await publish(bus.url, channel, text);
      await page.setFrozen(false);
      assert.ok(await page.run(() => kept.slept));
      await hasRead("one", "two", "three");
    });

    // A browser kept the page, and its streams, for the "back" button: its agent looked present for half a minute.
    it("S1-2.2: takes its agent offline within the lease when it is left or reloaded, and online when it is back", async () => {
      const bus = await serve();
      await open(bus.url);
      const channel = `${unique("web")}:talk`;
      const becomes = (state: "ONLINE" | "OFFLINE") =>
        waitUntil(async () => (await stateOf(bus.url, "paula")) === AgentState[state], {
          timeoutMs: 15_000,
          what: `paula to be ${state}`,
        });
      await read("paula", channel);
      await becomes("ONLINE");
      await page.goTo(`${site.origin}/elsewhere`);
      await becomes("OFFLINE");
      await publish(bus.url, channel, "while it was away");
      await page.goBack();
      // A browser may also load it anew; the one without windows always does.
      if (!(await page.run(() => "kept" in globalThis))) return;
      await becomes("ONLINE");
      await hasRead("while it was away");
      await page.reload();
      await becomes("OFFLINE");
    });

    // A browser opens six connections to a server without TLS. The sixth stream took the last one, and publishes hung.
    it("publishes beside five streams over http:, and is told why there is no sixth", async () => {
      const bus = await serve();
      await open(bus.url);
      const channel = `${unique("web")}:talk`;
      for (let n = 0; n < 5; n++) await read(`paula-${n}`, channel);
      await page.run((address) => kept.bus.agent("paula-0").send("heard", { channel: address }), channel);
      await hasRead(...Array.from({ length: 5 }, () => "heard"));
      await assert.rejects(read("paula-5", channel), /5 streams to http:.*serve the bus over https:/);
    });

    it("has twenty streams and publishes over https:, where one connection carries all", async () => {
      const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
      const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
      const pair = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key];
      execFileSync("openssl", ["req", "-x509", "-days", "2", ...pair, ...names, "-out", cert], { stdio: "ignore" });
      const bus = await serve(["--set", `server.tls={cert: ${cert}, key: ${key}}`]);
      await open(`https://127.0.0.1:${bus.port}`);
      const channel = `${unique("web")}:talk`;
      for (let n = 0; n < 20; n++) await read(`paula-${n}`, channel);
      await page.run((address) => kept.bus.agent("paula-0").send("heard", { channel: address }), channel);
      await hasRead(...Array.from({ length: 20 }, () => "heard"));
    });

    it("S1-6b: of an origin that nobody allowed reads nothing and changes nothing", async () => {
      const bus = await startBus();
      endings.push(() => bus.kill());
      await open(bus.url);
      await assert.rejects(
        page.run(() => kept.bus.ping({ timeoutMs: 5_000 })),
        /Failed to fetch/,
      );
      const outcome = await page.run(
        (url) =>
          // Without a preflight, as a form would send it: carried out it would be, though the page could not read it.
          fetch(`${url}/agentbus.v1.BusService/Publish`, {
            method: "POST",
            mode: "no-cors",
            headers: { "content-type": "text/plain" },
            body: '{"agentId":"eve","room":"web","channel":"talk","messages":[{"text":"x"}]}',
          }).then(({ type }) => type),
        bus.url,
      );
      assert.equal(outcome, "opaque");
      using clients = openClients(bus.url);
      assert.deepEqual((await clients.rooms.listRooms({})).rooms, []);
    });
  });
});
