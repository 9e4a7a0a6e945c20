import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  compressionGzip,
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { AdminService } from "../../gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/agentbus/v1/agent_service_pb.ts";
import { BusService } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { RoomService } from "../../gen/agentbus/v1/room_service_pb.ts";

export type Protocol = "grpc" | "grpc-web" | "connect";

export interface WireOptions {
  /** Default: grpc. */
  readonly protocol?: Protocol;
  /** Default: true. False: the JSON form of the protocol. */
  readonly binary?: boolean;
  /** Default: 2, over one connection. Version 1.1 has no client streams, and gRPC does not go over it. */
  readonly httpVersion?: "1.1" | "2";
  /** Sent as `authorization: Bearer`. Unset: none. */
  readonly apiKey?: string;
  /** For TLS: what Node's `tls.connect` takes. */
  readonly nodeOptions?: Record<string, unknown>;
  /** True: requests are compressed with gzip, and answers may be. Default: false. */
  readonly compress?: boolean;
}

/** The four services over one connection, from generated code alone: what a user has without our SDK. */
export interface WireClients {
  readonly bus: Client<typeof BusService>;
  readonly agents: Client<typeof AgentService>;
  readonly rooms: Client<typeof RoomService>;
  readonly admin: Client<typeof AdminService>;
  /** Cuts the connection with everything on it. */
  close(): void;
  [Symbol.dispose](): void;
}

export function openClients(url: string, options: WireOptions = {}): WireClients {
  const { transport, close } = openTransport(url, options);
  return {
    bus: createClient(BusService, transport),
    agents: createClient(AgentService, transport),
    rooms: createClient(RoomService, transport),
    admin: createClient(AdminService, transport),
    close,
    [Symbol.dispose]: close,
  };
}

export function openTransport(url: string, options: WireOptions = {}): { transport: Transport; close: () => void } {
  const { protocol = "grpc", binary = true, httpVersion = "2", apiKey, nodeOptions = {}, compress = false } = options;
  const shared = {
    baseUrl: url,
    useBinaryFormat: binary,
    interceptors: apiKey === undefined ? [] : [bearer(apiKey)],
    acceptCompression: compress ? [compressionGzip] : [],
    ...(compress ? { sendCompression: compressionGzip, compressMinBytes: 0 } : {}),
  };
  if (httpVersion === "1.1") {
    if (protocol === "grpc") throw new Error("gRPC does not go over HTTP/1.1");
    const create = protocol === "grpc-web" ? createGrpcWebTransport : createConnectTransport;
    return { transport: create({ httpVersion, nodeOptions, ...shared }), close: () => {} };
  }
  const sessionManager = new Http2SessionManager(url, {}, nodeOptions);
  const create = CREATE[protocol];
  return { transport: create({ httpVersion, sessionManager, ...shared }), close: () => sessionManager.abort() };
}

const CREATE = {
  grpc: createGrpcTransport,
  "grpc-web": createGrpcWebTransport,
  connect: createConnectTransport,
} as const;

function bearer(apiKey: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${apiKey}`);
    return next(request);
  };
}
