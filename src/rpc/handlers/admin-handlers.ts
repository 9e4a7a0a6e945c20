import { create } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type AdminService, type NodeStatus, NodeStatusSchema } from "../../../gen/agentbus/v1/admin_service_pb.ts";
import { ChannelSchema } from "../../../gen/agentbus/v1/room_pb.ts";
import { mapBounded } from "../../bus/bounded.ts";
import type { Agents, ChannelView, Nodes, Rooms } from "../../bus/directory/registry.ts";
import type { NodeRecord, NodeReport } from "../../bus/nodes/node-records.ts";
import type { BusOptions } from "../../core/bus-options.ts";
import type { Clock } from "../../core/clock.ts";
import { isBusError } from "../../core/errors.ts";
import { DURABILITIES, type Durability } from "../../core/room.ts";
import { channelMessage } from "../translation/room-translation.ts";
import { durationOf, millisOf, timestampOf } from "../translation/wkt.ts";
import type { Access } from "./access.ts";
import { chunksOf } from "./paging.ts";

/** The envelope's versions, as in Message.version. */
const PROTOCOL_VERSION = "1.0";
const CAPABILITIES = ["message_management", "delivery"];
const DEFAULT_BUSIEST_CHANNELS = 20;

/** How this node is, at this moment. */
export type NodeActivity = Omit<NodeReport, "version" | "startedAtMs" | "storage">;

export interface AdminHandlersOptions {
  readonly rooms: Rooms;
  readonly agents: Agents;
  readonly nodes: Nodes;
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
  const { rooms, agents, nodes, access, options, clock, storage, subscriptionCount } = deps;
  const { version, startedAtMs } = deps;
  const report = (): NodeReport => ({ ...deps.activity(), version, startedAtMs, storage: storage.kind });
  nodes.reportWith(report);

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
      const busiest = busiestChannels(rooms, request.maxChannels || DEFAULT_BUSIEST_CHANNELS);
      const channels = await mapBounded(busiest, (view) =>
        channelMessage(view, rooms.channelRecord(view.name.key), subscriptionCount(view.name.key)),
      ).catch((error: unknown) => {
        // Then, above all, somebody wants to know how the nodes are; their problems say that the storage is away.
        if (isBusError(error, "STORAGE_UNAVAILABLE")) return [];
        throw error;
      });
      const [busiestThatFit = []] = chunksOf(ChannelSchema, channels, options.limits.responseBytes);
      return {
        nodes: [{ ...report(), nodeId: options.nodeId }, ...nodes.others].map((node) => nodeStatus(node, clock.now())),
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

function nodeStatus(node: NodeReport & Pick<NodeRecord, "nodeId">, nowMs: number): NodeStatus {
  return create(NodeStatusSchema, {
    nodeId: node.nodeId,
    version: node.version,
    startTime: timestampOf(node.startedAtMs),
    uptimeDuration: durationOf(Math.max(0, nowMs - node.startedAtMs)),
    serving: node.serving,
    problems: [...node.problems],
    connections: node.connections,
    streams: node.streams,
    subscriptions: node.subscriptions,
    published: BigInt(node.published),
    delivered: BigInt(node.delivered),
    publishRate: node.publishRate,
    deliveryRate: node.deliveryRate,
    storage: node.storage,
  });
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
