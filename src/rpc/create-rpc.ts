import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/agentbus/v1/admin_service_pb.ts";
import { AgentService } from "../../gen/agentbus/v1/agent_service_pb.ts";
import { BusService } from "../../gen/agentbus/v1/bus_service_pb.ts";
import { RoomService } from "../../gen/agentbus/v1/room_service_pb.ts";
import type { Bus } from "../bus/bus.ts";
import { BusError } from "../core/errors.ts";
import type { Authenticator } from "../core/identity.ts";
import type { Meters } from "../core/meters.ts";
import { identityOf } from "./call-identity.ts";
import { CallMeter } from "./call-meter.ts";
import { createCallers } from "./callers.ts";
import { toConnectError } from "./errors/error-status.ts";
import { withReasons } from "./errors/reasoned-errors.ts";
import { createRequestValidator } from "./errors/validation.ts";
import { createFastPath, type FastPath } from "./fast-path.ts";
import type { Access } from "./handlers/access.ts";
import { type AdminHandlersOptions, createAdminHandlers } from "./handlers/admin-handlers.ts";
import { createAgentHandlers } from "./handlers/agent-handlers.ts";
import { createBusHandlers } from "./handlers/bus-handlers.ts";
import { createRoomHandlers } from "./handlers/room-handlers.ts";
import { createInterceptors } from "./interceptors.ts";
import { OpenLines } from "./lines/open-lines.ts";

const SERVICES = [BusService, AgentService, RoomService, AdminService] as const;

export interface RpcOptions {
  readonly bus: Bus;
  readonly authenticator: Authenticator;
  readonly meters: Meters;
  readonly admin: Pick<AdminHandlersOptions, "version" | "startedAtMs" | "activity" | "metricsJson" | "drain">;
  /** Services that are not ours (health, reflection) and look after access themselves. */
  readonly register: (router: ConnectRouter) => void;
  /** Answers what is no method of any service. */
  readonly fallback: (
    request: IncomingMessage & Http2ServerRequest,
    response: ServerResponse & Http2ServerResponse,
  ) => void;
}

/** Everything that speaks the contract. */
export interface Rpc {
  readonly fastPath: FastPath;
  onRequest(request: IncomingMessage & Http2ServerRequest, response: ServerResponse & Http2ServerResponse): void;
  /** Asks all streams to go elsewhere. */
  beginDrain(graceMs: number): void;
  /** Ends all streams. */
  endAll(error: BusError): void;
}

export function createRpc(options: RpcOptions): Rpc {
  const { bus, authenticator, meters, admin } = options;
  const { limits } = bus.options;
  const callers = createCallers(authenticator);
  const lines = new OpenLines();
  const meter = new CallMeter(meters, bus.clock);
  const validator = createRequestValidator(
    SERVICES.flatMap((service) => service.methods.map((method) => method.input)).filter(
      (input) => !input.name.startsWith("Publish"),
    ),
  );
  const access: Access = {
    actor: (context, agentId) => callers.actor(identityOf(context), agentId),
    requireAdmin(context) {
      const { admin: allowed, name } = identityOf(context);
      if (!allowed) throw new BusError("ADMIN_ONLY", `the API key ${name} has no admin`);
    },
  };
  const subscriptionCount = (key: string) => bus.subscriptions.readersOf(key);
  const ours: ReadonlySet<string> = new Set(SERVICES.map((service) => service.typeName));

  const routes = (router: ConnectRouter) => {
    router.service(BusService, createBusHandlers({ bus, callers, validator, lines }));
    router.service(
      AgentService,
      createAgentHandlers({ agents: bus.agents, access, limits, agentLeaseMs: bus.options.agentLeaseMs }),
    );
    router.service(
      RoomService,
      createRoomHandlers({ rooms: bus.rooms, agents: bus.agents, access, limits, subscriptionCount }),
    );
    router.service(
      AdminService,
      createAdminHandlers({
        ...admin,
        rooms: bus.rooms,
        agents: bus.agents,
        nodes: bus.nodes,
        access,
        options: bus.options,
        clock: bus.clock,
        storage: bus.storage,
        authenticationRequired: authenticator.required,
        routingStrategies: () => bus.routing.names,
        subscriptionCount,
      }),
    );
    options.register(router);
    router.handlers.forEach((handler, at) => {
      router.handlers[at] = withReasons(handler);
    });
  };

  const shutdown = new AbortController();
  return {
    fastPath: createFastPath({ bus, callers, validator, meter, lines }),
    onRequest: connectNodeAdapter({
      routes,
      fallback: options.fallback as NonNullable<Parameters<typeof connectNodeAdapter>[0]["fallback"]>,
      interceptors: createInterceptors({
        callers,
        validator,
        meter,
        logger: bus.logger,
        isPublic: (service) => !ours.has(service),
      }),
      shutdownSignal: shutdown.signal,
      // Compressed requests are read; responses never are compressed, else each batch would be for each reader.
      compressMinBytes: 0xffffffff,
      readMaxBytes: limits.requestBytes,
      // A misspelt `to` must not broadcast.
      jsonOptions: { ignoreUnknownFields: false },
    }) as Rpc["onRequest"],
    beginDrain(graceMs) {
      bus.nodes.announce();
      bus.subscriptions.beginDrain(graceMs);
      lines.goAway(graceMs);
    },
    endAll(error) {
      bus.subscriptions.endAll();
      lines.failAll(error);
      // Watches and whatever else still runs.
      shutdown.abort(toConnectError(error));
    },
  };
}
