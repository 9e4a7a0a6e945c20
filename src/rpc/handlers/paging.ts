import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { invalidField } from "../translation/request-fields.ts";

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1_000;

export interface PageRequest {
  /** The key behind which the page begins; "": from the first. */
  readonly after: string;
  readonly size: number;
  /** One more than the page has, to see whether there is another. */
  readonly limit: number;
}

/** `isKey` tells whether a token can be one of this list. Throws INVALID_FIELD. */
export function pageRequest(
  request: { readonly pageSize: number; readonly pageToken: string },
  isKey: (key: string) => boolean,
): PageRequest {
  const size = Math.min(request.pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
  const after = Buffer.from(request.pageToken, "base64url").toString();
  if (request.pageToken !== "" && (tokenOf(after) !== request.pageToken || !isKey(after))) {
    throw invalidField("page_token", "is not a next_page_token of this list; leave it empty for the first page");
  }
  return { after, size, limit: size + 1 };
}

/**
 * Cuts what was found to a page: at most `size` messages, and no more after the one that passes `maxBytes`, so that a
 * page of large messages stays far below what clients accept.
 */
export function pageOf<Desc extends DescMessage>(
  schema: Desc,
  found: readonly MessageShape<Desc>[],
  keyOf: (message: MessageShape<Desc>) => string,
  { size }: PageRequest,
  maxBytes: number,
): { messages: MessageShape<Desc>[]; nextPageToken: string } {
  const [messages = []] = chunksOf(schema, found.slice(0, size), maxBytes);
  const last = messages.at(-1);
  const more = last !== undefined && messages.length < found.length;
  return { messages, nextPageToken: more ? tokenOf(keyOf(last)) : "" };
}

/** Cuts messages into responses, each ending with the message that passes `maxBytes`. */
export function* chunksOf<Desc extends DescMessage>(
  schema: Desc,
  messages: readonly MessageShape<Desc>[],
  maxBytes: number,
): Generator<MessageShape<Desc>[]> {
  let chunk: MessageShape<Desc>[] = [];
  let bytes = 0;
  for (const message of messages) {
    chunk.push(message);
    bytes += toBinary(schema, message).byteLength;
    if (bytes < maxBytes) continue;
    yield chunk;
    chunk = [];
    bytes = 0;
  }
  if (chunk.length > 0) yield chunk;
}

function tokenOf(key: string): string {
  return Buffer.from(key).toString("base64url");
}
