import type { ServiceImpl } from "@connectrpc/connect";
import type { AdminService } from "../../gen/agentbus/v1/admin_service_pb.ts";
import { ChannelSchema } from "../../gen/agentbus/v1/room_pb.ts";
import { mapBounded } from "../bus/bounded.ts";
import type { Agents, ChannelView, Rooms } from "../bus/registry.ts";
import type { BusOptions } from "../core/bus-options.ts";
import type { Clock } from "../core/clock.ts";
import { DURABILITIES, type Durability } from "../core/room.ts";
import type { Access } from "./access.ts";
import { chunksOf } from "./paging.ts";
import { channelMessage } from "./room-translation.ts";
import { durationOf, millisOf, timestampOf } from "./wkt.ts";

/** The envelope's versions, as in Message.version. */
const PROTOCOL_VERSION = "1.0";
const CAPABILITIES = ["message_management", "delivery"];
const DEFAULT_BUSIEST_CHANNELS = 20;

/** How this node is, at this moment. */
export interface NodeActivity {
  readonly serving: boolean;
  /** Why it is not serving, or what is degraded. */
  readonly problems: readonly string[];
  readonly connections: number;
  readonly streams: number;
  readonly subscriptions: number;
  /** Messages since the start. */
  readonly published: number;
  readonly delivered: number;
  /** Messages a second over the last minute. */
  readonly publishRate: number;
  readonly deliveryRate: number;
}

export interface AdminHandlersOptions {
  readonly rooms: Rooms;
  readonly agents: Agents;
  readonly access: Access;
  readonly options: BusOptions;
  readonly clock: Clock;
  /** The program's version. */
  readonly version: string;
  readonly startedAtMs: number;
  readonly storage: {
    readonly kind: string;
    readonly capabilities: { readonly durable: boolean; readonly shared: boolean; readonly durability: Durability };
  };
  readonly authenticationRequired: boolean;
  readonly routingStrategies: () => readonly string[];
  readonly activity: () => NodeActivity;
  readonly subscriptionCount: (key: string) => number;
  /** The JSON of /metrics.json. */
  readonly metricsJson: () => Promise<string>;
  /** Begins to leave and comes back at once; undefined: with the configured grace. */
  readonly drain: (graceMs: number | undefined) => void;
}

/** Translates between wire and domain. Interceptors validate before it and map errors after it. */
export function createAdminHandlers(deps: AdminHandlersOptions): ServiceImpl<typeof AdminService> {
  const { rooms, agents, access, options, clock, storage, subscriptionCount } = deps;

  return {
    ping(request) {
      return { payload: request.payload, serverTime: timestampOf(clock.now()), nodeId: options.nodeId };
    },

    getServerInfo() {
      return {
        nodeId: options.nodeId,
        name: options.nodeName,
        version: deps.version,
        protocolVersion: PROTOCOL_VERSION,
        capabilities: CAPABILITIES,
        features: featuresOf(storage.capabilities),
        storage: storage.kind,
        limits: Object.fromEntries(Object.entries(options.limits).map(([name, value]) => [name, BigInt(value)])),
        authenticationRequired: deps.authenticationRequired,
        routingStrategies: [...deps.routingStrategies()],
      };
    },

    async getStatus(request) {
      const { problems, published, delivered, ...activity } = deps.activity();
      const busiest = busiestChannels(rooms, request.maxChannels || DEFAULT_BUSIEST_CHANNELS);
      const channels = await mapBounded(busiest, (view) =>
        channelMessage(view, rooms.channelRecord(view.name.key), subscriptionCount(view.name.key)),
      );
      const [busiestThatFit = []] = chunksOf(ChannelSchema, channels, options.limits.responseBytes);
      return {
        nodes: [
          {
            ...activity,
            nodeId: options.nodeId,
            version: deps.version,
            startTime: timestampOf(deps.startedAtMs),
            uptimeDuration: durationOf(Math.max(0, clock.now() - deps.startedAtMs)),
            problems: [...problems],
            published: BigInt(published),
            delivered: BigInt(delivered),
            storage: storage.kind,
          },
        ],
        agents: agents.counts.agents,
        agentsOnline: agents.counts.online,
        rooms: rooms.counts.rooms,
        channels: rooms.counts.channels,
        busiestChannels: busiestThatFit,
      };
    },

    async getMetrics() {
      return { json: await deps.metricsJson() };
    },

    drain(request, context) {
      access.requireAdmin(context);
      deps.drain(request.graceDuration && millisOf(request.graceDuration));
      return {};
    },
  };
}

function featuresOf(capabilities: AdminHandlersOptions["storage"]["capabilities"]): string[] {
  const reached = DURABILITIES.slice(0, DURABILITIES.indexOf(capabilities.durability) + 1);
  return [
    ...(capabilities.durable ? ["durable"] : []),
    ...(capabilities.shared ? ["shared"] : []),
    ...reached.map((durability) => durability.toLowerCase()),
  ];
}

function busiestChannels(rooms: Rooms, count: number): readonly ChannelView[] {
  const all = rooms.listChannels({ room: "", pattern: "", after: "", limit: Number.POSITIVE_INFINITY });
  // Stable: channels with as many members stay in the order of their names.
  return [...all].sort((a, b) => b.members.size - a.members.size).slice(0, count);
}
