import type { JsonValue } from "@bufbuild/protobuf";
import type { Way } from "./ways.ts";

/** A request that must be refused, with its reason and without a trace. */
export interface BadRequest {
  readonly title: string;
  readonly rpc: string;
  readonly reason: string;
  /** The request, or the text that is sent in place of JSON. */
  readonly json: JsonValue;
  /** What is sent in binary. Unset: `json`, encoded. */
  readonly binary?: Uint8Array;
  /** Where it can be expressed. Unset: everywhere. */
  readonly ways?: readonly Way[];
  /** The field that a violation must name. */
  readonly field?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const JSON_ONLY: readonly Way[] = ["Connect JSON"];
export const BINARY_ONLY: readonly Way[] = ["gRPC", "gRPC-Web", "Connect binary"];
