import assert from "node:assert/strict";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { beforeAll, describe, it } from "vitest";
import {
  ConnectRequestSchema,
  type ConnectResponse,
  ConnectResponseSchema,
  PublishRequestSchema,
  PublishResponseSchema,
  SubscribeRequestSchema,
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "../../gen/agentbus/v1/bus_service_pb.ts";
import { ensurePython } from "../../scripts/python.ts";
import { ensureTool } from "../../scripts/tools.ts";
import { failureOfTrailers } from "../support/failure.ts";
import { waitUntil } from "../support/wait.ts";
import { openClients } from "../support/wire-clients.ts";
import { jsonValues, runTool } from "./run-tool.ts";
import { useBus } from "./shared-bus.ts";

const BUILD_MS = 300_000;
const bus = useBus();
const address = () => bus().url.replace("http://", "");

describe(
  "U-5: grpcurl",
  async () => {
    const grpcurl = await ensureTool("grpcurl");
    const run = (args: readonly string[], options = {}) => runTool(grpcurl!, ["-plaintext", ...args], options);

    it.skipIf(grpcurl === undefined)("lists and describes by reflection", async () => {
      const services = await run([address(), "list"]);
      const wanted = ["AdminService", "AgentService", "BusService", "RoomService"].map((name) => `agentbus.v1.${name}`);
      for (const service of [...wanted, "grpc.health.v1.Health"]) assert.ok(services.stdout.includes(service), service);
      const methods = await run([address(), "list", "agentbus.v1.BusService"]);
      assert.equal(methods.stdout.trim().split("\n").length, 6, methods.stdout);
      const message = await run([address(), "describe", "agentbus.v1.Message"]);
      assert.match(message.stdout, /string idempotency_key = 11/);
      const field = await run([address(), "describe", "agentbus.v1.SubscribeRequest.on_gap"]);
      assert.match(field.stdout, /OnGap/);
    });

    it.skipIf(grpcurl === undefined)("calls: unary, a stream, and both directions at once", async () => {
      const publish = {
        agentId: "grpcurl",
        room: "go",
        channel: "talk",
        messages: [{ text: "hi" }, { text: "again" }],
      };
      const service = "agentbus.v1.BusService";
      const published = await run(["-d", JSON.stringify(publish), address(), `${service}/Publish`]);
      assert.equal((jsonValues(published.stdout)[0]!["results"] as unknown[]).length, 2, published.stderr);

      const subscribe = JSON.stringify({ agentId: "reader", channels: ["go:talk"], last: 1 });
      const read = await run(["-d", subscribe, address(), `${service}/Subscribe`], { until: /"again"/ });
      assert.ok(!read.stdout.includes('"hi"'), "the last one only");

      const frames = [
        { requestId: 1, hello: { agentId: "grpcurl" } },
        { requestId: 2, publish },
        { requestId: 3, heartbeat: {} },
      ];
      const input = frames.map((frame) => JSON.stringify(frame)).join("\n");
      const line = await run(["-d", "@", address(), `${service}/Connect`], { input });
      assert.equal(line.code, 0, line.stderr);
      const answers = jsonValues(line.stdout).map(({ requestId, ...answer }) => `${requestId} ${Object.keys(answer)}`);
      assert.deepEqual(answers.sort(), ["1 welcome", "2 published", "3 done"]);
    });

    it.skipIf(grpcurl === undefined)("shows a refusal with its reason", async () => {
      const { code, stderr } = await run([
        "-d",
        '{"agentId":"a","channels":["nowhere"]}',
        address(),
        "agentbus.v1.BusService/Subscribe",
      ]);
      assert.equal(code, 64 + 3);
      assert.match(stderr, /"reason": "BAD_NAME"/);
    });
  },
  BUILD_MS,
);

describe(
  "U-5: grpc-health-probe",
  async () => {
    const probe = await ensureTool("grpc-health-probe");
    it.skipIf(probe === undefined)("finds the server and its services serving, and others unknown", async () => {
      for (const service of ["", "agentbus.v1.BusService"]) {
        const { code, stdout, stderr } = await runTool(probe!, [`-addr=${address()}`, `-service=${service}`]);
        assert.equal(code, 0, `${stdout}${stderr}`);
      }
      const unknown = await runTool(probe!, [`-addr=${address()}`, "-service=nothing.here"]);
      assert.notEqual(unknown.code, 0);
    });
  },
  BUILD_MS,
);

describe("U-4: Python's grpcio", () => {
  let python: string;
  beforeAll(async () => {
    ({ python } = await ensurePython());
  }, BUILD_MS);

  it("speaks unary, streams, both directions, cancellation, deadlines and error details", async () => {
    const script = fileURLToPath(new URL("wire_client.py", import.meta.url));
    const PYTHONPATH = fileURLToPath(new URL("../../sdk/python/src", import.meta.url));
    const { code, stdout, stderr } = await runTool(python, [script, address()], { env: { PYTHONPATH } });
    assert.equal(code, 0, stderr);
    const { bulk, refused, ...seen } = JSON.parse(stdout);
    assert.deepEqual(seen, {
      durability: 1,
      positions: ["py:talk", "py:talk"],
      stream: ["one", "two — ü"],
      cancel: "CANCELLED",
      line: ["welcome", "delivery", "10 0", "11 1", "12 2"],
    });
    assert.deepEqual(
      bulk,
      Array.from({ length: 50 }, (_, i) => `${i + 1} ${i + 1}`),
    );
    const told = { domain: "agentbus", retry: "NEVER" };
    assert.deepEqual(refused, {
      unary: { code: "INVALID_ARGUMENT", reason: "BAD_NAME", ...told },
      stream: { code: "INVALID_ARGUMENT", reason: "BAD_NAME", ...told },
      inbox: { code: "PERMISSION_DENIED", reason: "INBOX_PRIVATE", ...told },
      deadline: { code: "DEADLINE_EXCEEDED" },
    });
    using clients = openClients(bus().url);
    await waitUntil(async () => {
      const { nodes } = await clients.admin.getStatus({});
      return nodes[0]!.subscriptions === 0;
    });
  });
});

describe("U-5: grpc-js", () => {
  const path = (method: string) => `/agentbus.v1.BusService/${method}`;
  const encode =
    <Request>(write: (request: Request) => Uint8Array) =>
    (request: Request) =>
      Buffer.from(write(request));

  async function withClient(task: (client: Client) => Promise<void>): Promise<void> {
    const client = new Client(address(), credentials.createInsecure());
    try {
      await task(client);
    } finally {
      client.close();
    }
  }

  it("publishes, reads a stream, speaks on a line, and finds the reason of a refusal", () =>
    withClient(async (client) => {
      const publish = (room: string) =>
        new Promise<unknown>((resolve, reject) => {
          const request = create(PublishRequestSchema, { agentId: "js", room, channel: "talk", messages: [{}, {}] });
          client.makeUnaryRequest(
            path("Publish"),
            encode((value: typeof request) => toBinary(PublishRequestSchema, value)),
            (bytes) => fromBinary(PublishResponseSchema, bytes),
            request,
            (error, response) => (error === null ? resolve(response) : reject(error)),
          );
        });
      await publish("js");
      const refusal = await publish("j s").catch((error: ServiceError) => error);
      const details = (refusal as ServiceError).metadata.get("grpc-status-details-bin")[0] as Buffer;
      const trailers = {
        "grpc-status": String((refusal as ServiceError).code),
        "grpc-status-details-bin": details.toString("base64"),
      };
      assert.equal(failureOfTrailers(trailers)?.reason, "BAD_NAME");

      const stream = client.makeServerStreamRequest(
        path("Subscribe"),
        encode((value: ReturnType<typeof create<typeof SubscribeRequestSchema>>) =>
          toBinary(SubscribeRequestSchema, value),
        ),
        (bytes) => fromBinary(SubscribeResponseSchema, bytes),
        create(SubscribeRequestSchema, { agentId: "reader", channels: ["js:talk"], start: { case: "last", value: 2 } }),
      );
      stream.on("error", () => {}); // told when it is taken back
      const sequences: number[] = [];
      stream.on("data", ({ messages }: SubscribeResponse) =>
        sequences.push(...messages.map(({ sequence }) => Number(sequence))),
      );
      await waitUntil(() => sequences.length === 2);
      assert.deepEqual(sequences, [1, 2]);
      stream.cancel();

      const line = client.makeBidiStreamRequest(
        path("Connect"),
        encode((value: ReturnType<typeof create<typeof ConnectRequestSchema>>) =>
          toBinary(ConnectRequestSchema, value),
        ),
        (bytes) => fromBinary(ConnectResponseSchema, bytes),
      );
      line.write(create(ConnectRequestSchema, { requestId: 1, request: { case: "hello", value: { agentId: "js" } } }));
      const [welcome] = (await once(line, "data")) as [ConnectResponse];
      assert.equal(welcome.response.case, "welcome");
      line.end();
      await once(line.resume(), "end");
    }));
});
