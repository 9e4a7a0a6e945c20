import assert from "node:assert/strict";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, it } from "vitest";
import { file_agentbus_v1_admin_service } from "../../gen/agentbus/v1/admin_service_pb.ts";
import { file_agentbus_v1_bus_service } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { ServerReflection, type ServerReflectionRequestSchema } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { registerReflection } from "./reflection.ts";

const files = [file_agentbus_v1_bus_service, file_agentbus_v1_admin_service];
const transport = createRouterTransport((router) => registerReflection(router, files));

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

async function ask(service: typeof ServerReflection, ...questions: Question[]) {
  async function* requests() {
    for (const messageRequest of questions) yield { host: "h", messageRequest };
  }
  const answers = [];
  for await (const response of createClient(service, transport).serverReflectionInfo(requests())) {
    assert.equal(response.validHost, "h");
    answers.push(response.messageResponse);
  }
  return answers;
}

async function fileNames(...questions: Question[]): Promise<(readonly string[])[]> {
  return (await ask(ServerReflection, ...questions)).map((answer) => {
    assert.ok(answer.case === "fileDescriptorResponse", answer.case);
    return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  });
}

describe.each([
  ["v1", ServerReflection],
  ["v1alpha", V1Alpha as unknown as typeof ServerReflection],
])("grpc.reflection.%s", (_version, service) => {
  it("lists services and finds them", async () => {
    const [list, found] = await ask(
      service,
      { case: "listServices", value: "" },
      { case: "fileContainingSymbol", value: "agentbus.v1.BusService" },
    );
    assert.ok(list?.case === "listServicesResponse");
    assert.deepEqual(
      list.value.service.map(({ name }) => name),
      ["agentbus.v1.AdminService", "agentbus.v1.BusService"],
    );
    assert.equal(found?.case, "fileDescriptorResponse");
  });
});

describe("grpc.reflection", () => {
  it("sends a file with all it imports, and nothing twice on one stream", async () => {
    const symbol = "agentbus.v1.BusService.Publish";
    const [first, second, again] = await fileNames(
      { case: "fileContainingSymbol", value: symbol },
      { case: "fileByFilename", value: "agentbus/v1/message.proto" },
      { case: "fileContainingSymbol", value: "agentbus.v1.Message.text" },
    );
    assert.equal(first?.[0], "agentbus/v1/bus_service.proto");
    assert.ok(first?.includes("google/protobuf/duration.proto"));
    assert.equal(new Set(first).size, first?.length);
    assert.deepEqual([second, again], [["agentbus/v1/message.proto"], ["agentbus/v1/message.proto"]]);
  });

  it("knows extensions by number and type", async () => {
    const containingType = "google.protobuf.FieldOptions";
    const [found, numbers] = await ask(
      ServerReflection,
      { case: "fileContainingExtension", value: { containingType, extensionNumber: 1159 } },
      { case: "allExtensionNumbersOfType", value: containingType },
    );
    assert.equal(found?.case, "fileDescriptorResponse");
    assert.ok(numbers?.case === "allExtensionNumbersResponse");
    assert.ok(numbers.value.extensionNumber.includes(1159));
  });

  it("answers what it does not know, and goes on", async () => {
    const answers = await ask(
      ServerReflection,
      { case: "fileByFilename", value: "none.proto" },
      { case: "fileContainingSymbol", value: "none.None" },
      { case: "allExtensionNumbersOfType", value: "none.None" },
      { case: undefined } as Question,
    );
    const codes = answers.map((answer) => (answer.case === "errorResponse" ? answer.value.errorCode : answer.case));
    assert.deepEqual(codes, [Code.NotFound, Code.NotFound, Code.NotFound, Code.InvalidArgument]);
  });

  it("S1-6b: asks for a key where it is told to", async () => {
    const authorize = () => {
      throw new ConnectError("no key", Code.Unauthenticated);
    };
    const closed = createRouterTransport((router) => registerReflection(router, files, { authorize }));
    async function* none() {}
    const answers = createClient(ServerReflection, closed).serverReflectionInfo(none())[Symbol.asyncIterator]();
    await assert.rejects(answers.next(), { code: Code.Unauthenticated });
  });
});
