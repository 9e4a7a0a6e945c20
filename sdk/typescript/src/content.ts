import type { Message as MessageProto } from "./gen/agentbus/v1/message_pb.ts";

/**
 * What a message says. A string is sent as text, bytes as bytes; anything else as JSON with the content type
 * "application/json". `undefined`: nothing, for a bare event.
 */
export type Content = string | Uint8Array | object | number | boolean | null | undefined;

export interface EncodedContent {
  readonly payload: MessageProto["payload"];
  /** Empty: the bus's default for the payload. */
  readonly contentType: string;
}

/** Throws TypeError for what JSON cannot express (a function, a cycle, a bigint). */
export function encodeContent(content: Content): EncodedContent {
  if (content === undefined) return { payload: { case: undefined }, contentType: "" };
  if (typeof content === "string") return { payload: { case: "text", value: content }, contentType: "" };
  if (content instanceof Uint8Array) return { payload: { case: "data", value: content }, contentType: "" };
  const json: string | undefined = JSON.stringify(content);
  if (json === undefined) throw new TypeError(`a ${typeof content} cannot be sent: content is text, bytes or JSON`);
  return { payload: { case: "text", value: json }, contentType: "application/json" };
}

/** "application/json", also with parameters, and the "+json" family. */
export function isJson(contentType: string): boolean {
  return /^application\/([a-z0-9.-]+\+)?json\s*(;|$)/i.test(contentType);
}
