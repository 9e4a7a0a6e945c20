import type { DescService } from "@bufbuild/protobuf";
import {
  type Client,
  type ConnectError,
  createClient,
  createRouterTransport,
  type Interceptor,
  type ServiceImpl,
} from "@connectrpc/connect";
import { AdminService } from "../../gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/agentbus/v1/agent_service_pb.ts";
import { RoomService } from "../../gen/agentbus/v1/room_service_pb.ts";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { BusError, type Reason } from "../../src/core/errors.ts";
import { checkAgentId } from "../../src/core/names.ts";
import { toBusError, toConnectError } from "../../src/rpc/errors/error-status.ts";
import { createRequestValidator } from "../../src/rpc/errors/validation.ts";
import type { Access } from "../../src/rpc/handlers/access.ts";
import { recordingLogger } from "./registry-fixture.ts";

/** Everyone acts as whom the request names; only "admin" in the header is an administrator. */
export const openAccess: Access = {
  actor(_context, agentId) {
    if (agentId === "") throw new BusError("AGENT_ID_REQUIRED", "agent_id is empty");
    checkAgentId(agentId);
    return agentId;
  },
  requireAdmin(context) {
    if (context.requestHeader.get("authorization") !== "admin") throw new BusError("ADMIN_ONLY", "not an admin");
  },
};

// Compiled once: it takes longer than most tests.
const services: readonly DescService[] = [RoomService, AgentService, AdminService];
const validator = createRequestValidator(services.flatMap((service) => service.methods.map((method) => method.input)));

/** A client of handlers in this process: what the rules in the protos refuse is refused, failures carry their reason. */
export function clientOf<S extends DescService>(service: S, handlers: ServiceImpl<S>): Client<S> {
  const logger = recordingLogger([]);
  const edge: Interceptor = (next) => async (request) => {
    try {
      if (!request.stream) validator.check(request.method.input, request.message);
      const response = await next(request);
      return response.stream ? { ...response, message: withStatus(response.message) } : response;
    } catch (error) {
      throw toConnectError(toBusError(error, logger));
    }
  };
  async function* withStatus<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* messages;
    } catch (error) {
      throw toConnectError(toBusError(error, logger));
    }
  }
  const options = { router: { interceptors: [edge] } };
  return createClient(
    service,
    createRouterTransport((router) => router.service(service, handlers), options),
  );
}

/** The reason of the table that a failed call carries. */
export function reasonOf(error: unknown): Reason | undefined {
  return (error as ConnectError).findDetails(ErrorInfoSchema)[0]?.reason as Reason | undefined;
}
