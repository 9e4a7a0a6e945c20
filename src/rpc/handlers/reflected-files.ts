import type { DescFile } from "@bufbuild/protobuf";
import { file_agentbus_v1_admin_service } from "../../../gen/agentbus/v1/admin_service_pb.ts";
import { file_agentbus_v1_agent_service } from "../../../gen/agentbus/v1/agent_service_pb.ts";
import { file_agentbus_v1_bus_service } from "../../../gen/agentbus/v1/bus_service_pb.ts";
import { file_agentbus_v1_room_service } from "../../../gen/agentbus/v1/room_service_pb.ts";
import { file_google_rpc_error_details } from "../../../gen/google/rpc/error_details_pb.ts";
import { file_grpc_health_v1_health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { file_grpc_reflection_v1_reflection } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { file_grpc_reflection_v1alpha_reflection } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";

/** What reflection tells; error details so that tools can show them. */
export const REFLECTED_FILES: readonly DescFile[] = [
  file_agentbus_v1_bus_service,
  file_agentbus_v1_agent_service,
  file_agentbus_v1_room_service,
  file_agentbus_v1_admin_service,
  file_google_rpc_error_details,
  file_grpc_health_v1_health,
  file_grpc_reflection_v1_reflection,
  file_grpc_reflection_v1alpha_reflection,
];
