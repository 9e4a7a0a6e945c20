import { type DescExtension, type DescFile, toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectRouter, type ServiceImpl } from "@connectrpc/connect";
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflection as V1,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as V1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import type { ProbeAccess } from "./health.ts";

type Question = ServerReflectionRequest["messageRequest"];
/** An answer without the `$typeName`s, which the router does not need. */
type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

/**
 * Adds grpc.reflection.v1 and v1alpha to a router: what `files` define, and what they import. Their services are listed;
 * those of imports are not.
 */
export function registerReflection(router: ConnectRouter, files: readonly DescFile[], access: ProbeAccess = {}): void {
  const index = indexFiles(files);
  const implementation: ServiceImpl<typeof V1> = {
    async *serverReflectionInfo(requests, { requestHeader }) {
      access.authorize?.(requestHeader.get("authorization") ?? undefined);
      // A client keeps what it got on this stream: no file is sent to it twice but the one asked for.
      const sent = new Set<DescFile>();
      for await (const request of requests) {
        const messageResponse = answer(request.messageRequest, index, sent);
        yield { validHost: request.host, originalRequest: request, messageResponse } as ServerReflectionResponse;
      }
    },
  };
  router.service(V1, implementation);
  // The two versions differ in their package's name alone.
  router.service(V1Alpha, implementation as unknown as ServiceImpl<typeof V1Alpha>);
}

interface FileIndex {
  readonly byName: ReadonlyMap<string, DescFile>;
  readonly bySymbol: ReadonlyMap<string, DescFile>;
  readonly extensions: ReadonlyMap<string, readonly DescExtension[]>;
  readonly services: readonly string[];
}

function indexFiles(files: readonly DescFile[]): FileIndex {
  const byName = new Map<string, DescFile>();
  const bySymbol = new Map<string, DescFile>();
  const extensions = new Map<string, DescExtension[]>();
  const add = (file: DescFile): void => {
    if (byName.has(file.proto.name)) return;
    byName.set(file.proto.name, file);
    for (const type of nestedTypes(file)) {
      bySymbol.set(type.typeName, file);
      if (type.kind === "service")
        for (const method of type.methods) bySymbol.set(`${type.typeName}.${method.name}`, file);
      if (type.kind === "message")
        for (const field of type.fields) bySymbol.set(`${type.typeName}.${field.name}`, file);
      if (type.kind === "extension") {
        const known = extensions.get(type.extendee.typeName);
        if (known === undefined) extensions.set(type.extendee.typeName, [type]);
        else known.push(type);
      }
    }
    file.dependencies.forEach(add);
  };
  files.forEach(add);
  const services = [...new Set(files.flatMap((file) => file.services.map((service) => service.typeName)))].sort();
  return { byName, bySymbol, extensions, services };
}

function answer(question: Question, index: FileIndex, sent: Set<DescFile>): Answer {
  switch (question.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: index.services.map((name) => ({ name })) } };
    case "fileByFilename":
      return fileAnswer(index.byName.get(question.value), `file ${question.value}`, sent);
    case "fileContainingSymbol":
      return fileAnswer(index.bySymbol.get(question.value), `symbol ${question.value}`, sent);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      const extension = index.extensions.get(containingType)?.find(({ number }) => number === extensionNumber);
      return fileAnswer(extension?.file, `extension ${extensionNumber} of ${containingType}`, sent);
    }
    case "allExtensionNumbersOfType": {
      const baseTypeName = question.value;
      if (!index.bySymbol.has(baseTypeName)) return notFound(`type ${baseTypeName}`);
      const extensionNumber = (index.extensions.get(baseTypeName) ?? []).map(({ number }) => number);
      return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
    }
    default:
      return {
        case: "errorResponse",
        value: { errorCode: Code.InvalidArgument, errorMessage: "message_request is not set" },
      };
  }
}

function fileAnswer(file: DescFile | undefined, what: string, sent: Set<DescFile>): Answer {
  if (file === undefined) return notFound(what);
  const fileDescriptorProto: Uint8Array[] = [];
  const collect = (one: DescFile, asked: boolean): void => {
    if (sent.has(one) && !asked) return;
    sent.add(one);
    fileDescriptorProto.push(toBinary(FileDescriptorProtoSchema, one.proto));
    for (const dependency of one.dependencies) collect(dependency, false);
  };
  collect(file, true);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return { case: "errorResponse", value: { errorCode: Code.NotFound, errorMessage: `${what} not found` } };
}
