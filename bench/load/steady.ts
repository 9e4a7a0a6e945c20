import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import {
  GetMetricsRequestSchema,
  GetServerInfoRequestSchema,
  GetStatusRequestSchema,
  PingRequestSchema,
} from "../../gen/agentbus/v1/admin_service_pb.ts";
import { ListAgentsRequestSchema } from "../../gen/agentbus/v1/agent_service_pb.ts";
import { ListChannelsRequestSchema, ListRoomsRequestSchema } from "../../gen/agentbus/v1/room_service_pb.ts";
import { encodePublishRequest, frameGrpc, PATH, ROOM } from "../clients/bus-requests.ts";
import { Http2Connection } from "../clients/http2-connection.ts";
import { createPayload, sharedClockMs, stampPayload } from "../clients/payload.ts";
import { callUnary } from "../clients/unary-caller.ts";
import { LatencyRecorder } from "./latency-recorder.ts";

/** Publishes one message a call to the channels in turn, at a steady rate, stamped with the time. */
export async function startPublishing(
  port: number,
  channels: readonly string[],
  perSecond: number,
): Promise<{ stop(): number }> {
  const connection = await Http2Connection.open(port);
  const payload = createPayload();
  const requests = channels.map((channel) => {
    const framed = frameGrpc(encodePublishRequest(channel, 1));
    return { framed, offset: framed.indexOf(payload) };
  });
  let sent = 0;
  let failure: unknown;
  const stop = steadily(perSecond, () => {
    const { framed, offset } = requests[sent % requests.length]!;
    const request = Buffer.from(framed);
    stampPayload(request, offset, sharedClockMs(), sent++);
    callUnary(connection, PATH.publish, request).catch((error: unknown) => {
      failure ??= error;
    });
  });
  return {
    /** Returns how many messages were published. Throws when one was refused. */
    stop() {
      stop();
      connection.close();
      if (failure) throw failure;
      return sent;
    },
  };
}

/** Makes the bus's own calls in turn at a steady rate and takes their times. */
export async function startBuiltInCalls(
  port: number,
  perSecond: number,
): Promise<{ record(): void; stop(): Float64Array }> {
  const connection = await Http2Connection.open(port);
  const calls = [
    call("AdminService/Ping", PingRequestSchema),
    call("AdminService/GetServerInfo", GetServerInfoRequestSchema),
    call("AdminService/GetStatus", GetStatusRequestSchema),
    call("AdminService/GetMetrics", GetMetricsRequestSchema),
    call("AgentService/ListAgents", ListAgentsRequestSchema),
    call("RoomService/ListRooms", ListRoomsRequestSchema),
    call("RoomService/ListChannels", ListChannelsRequestSchema, { room: ROOM }),
  ];
  const latencies = new LatencyRecorder();
  let made = 0;
  let failure: unknown;
  const stop = steadily(perSecond, () => {
    const { path, request } = calls[made++ % calls.length]!;
    const startedAt = performance.now();
    callUnary(connection, path, request).then(
      () => latencies.record(startedAt, performance.now()),
      (error: unknown) => {
        failure ??= error;
      },
    );
  });
  return {
    record: () => latencies.start(),
    stop() {
      stop();
      latencies.stop();
      connection.close();
      if (failure) throw failure;
      return latencies.values();
    },
  };
}

function call(
  name: string,
  schema: DescMessage,
  fields: Record<string, unknown> = {},
): { path: string; request: Buffer } {
  return { path: `/agentbus.v1.${name}`, request: frameGrpc(toBinary(schema, create(schema, fields))) };
}

/** Does something so often a second until the function that it returns is called. */
function steadily(perSecond: number, work: () => void): () => void {
  const timer = setInterval(work, 1_000 / perSecond);
  return () => clearInterval(timer);
}
