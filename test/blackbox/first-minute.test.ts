import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { delimiter, dirname } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { describe, it } from "vitest";
import { BusService } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { waitUntil } from "../support/wait.ts";
import { jsonValues, runTool } from "./run-tool.ts";
import { useBus } from "./shared-bus.ts";

const BUF = createRequire(import.meta.url).resolve(`@bufbuild/buf-${process.platform}-${process.arch}/bin/buf`);
const bus = useBus();

describe("what a newcomer types", () => {
  /** A line of the banner, pasted into a shell as it stands. */
  async function paste(line: string, until?: RegExp) {
    const env = { PATH: `${dirname(BUF)}${delimiter}${process.env["PATH"]}` };
    const command = line.startsWith("curl") ? line.replace("curl ", "curl --silent --show-error ") : line;
    return runTool("bash", ["-c", `exec ${command}`], { env, ...(until && { until }) });
  }

  it("U-5: the four lines of the banner work as they are printed", async () => {
    const printed = () =>
      bus()
        .log.filter(({ level }) => level === "text")
        .map(({ msg }) => msg.trim());
    await waitUntil(() => printed().some((line) => line.startsWith("More:")));
    const [publish, fetch, whisper, subscribe, ...more] = printed().filter((line) => /^(?:buf )?curl /.test(line));
    assert.deepEqual(more, []);
    assert.ok(
      printed().some((line) => /memory: forgets everything/.test(line)),
      "it says that memory forgets",
    );

    const published = jsonValues(`${(await paste(publish!)).stdout}\n`)[0]!;
    const { position } = (published["results"] as { position: string }[])[0]!;
    assert.match(position, /^science:explore@[0-9a-f]{8}\.1$/);
    const fetched = jsonValues(`${(await paste(fetch!)).stdout}\n`)[0]!;
    assert.deepEqual(
      (fetched["messages"] as { text: string; sender: string }[]).map(({ text, sender }) => [text, sender]),
      [["hi", "alice"]],
    );
    const whispered = jsonValues(`${(await paste(whisper!)).stdout}\n`)[0]!;
    assert.match(JSON.stringify(whispered), /_inbox:alice@/);
    const { stdout } = await paste(subscribe!, /"text": *"hi"/);
    assert.match(stdout, /"opened"/);
  });

  it("S3-FR-007: the pages answer GET and HEAD", async () => {
    for (const path of ["/", "/health", "/ready", "/version", "/metrics", "/metrics.json"]) {
      const response = await fetch(`${bus().url}${path}`);
      assert.equal(response.status, 200, path);
      assert.notEqual(await response.text(), "", path);
      assert.equal((await fetch(`${bus().url}${path}`, { method: "HEAD" })).status, 200, path);
    }
    const version = (await (await fetch(`${bus().url}/version`)).json()) as { protocol: string };
    assert.equal(version.protocol, "1.0");
  });
});

describe("U-5: a browser's client (connect-web over fetch)", () => {
  it.each([
    ["Connect", createConnectTransport],
    ["gRPC-Web", createGrpcWebTransport],
  ] as const)("publishes and reads a stream over %s", async (name, createTransport) => {
    const service = createClient(BusService, createTransport({ baseUrl: bus().url }));
    const channel = { room: "web", channel: name.toLowerCase() };
    const text = { payload: { case: "text" as const, value: name } };
    await service.publish({ agentId: "page", ...channel, messages: [text] });
    const left = new AbortController();
    const request = {
      agentId: "reader",
      channels: [`web:${channel.channel}`],
      start: { case: "last" as const, value: 5 },
    };
    for await (const { messages } of service.subscribe(request, { signal: left.signal })) {
      if (messages.length === 0) continue;
      assert.deepEqual(
        messages.map(({ payload }) => payload.value),
        [name],
      );
      break;
    }
    left.abort();
  });
});
