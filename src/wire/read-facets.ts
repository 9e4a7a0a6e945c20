import { type Facets, MESSAGE_TYPES, type MessageType } from "../core/message.ts";
import { WireReader } from "./reader.ts";
import { FIELD } from "./scan-message.ts";

/** Reads what filters look at from a stored body. It was checked when it came in. */
export function readFacets(body: Uint8Array): Facets {
  const reader = WireReader.of(body);
  let type: MessageType = "MESSAGE";
  let name = "";
  let sessionId = "";
  let correlationId = "";
  let priority = 0;
  let hopCount = 0;
  let metadata: Record<string, string> | undefined;
  while (reader.next()) {
    switch (reader.field) {
      case FIELD.type:
        type = MESSAGE_TYPES[reader.int32() - 1] ?? "MESSAGE";
        break;
      case FIELD.name:
        name = text(reader);
        break;
      case FIELD.metadata:
        metadata ??= Object.create(null) as Record<string, string>;
        addEntry(metadata, reader);
        break;
      case FIELD.priority:
        priority = reader.int32();
        break;
      case FIELD.correlationId:
        correlationId = text(reader);
        break;
      case FIELD.sessionId:
        sessionId = text(reader);
        break;
      case FIELD.hopCount:
        hopCount = reader.int32();
        break;
    }
  }
  return { type, name, sessionId, correlationId, priority, hopCount, metadata: metadata ?? {} };
}

function addEntry(metadata: Record<string, string>, reader: WireReader): void {
  const entry = new WireReader(reader.buffer, reader.start, reader.end);
  let key = "";
  let value = "";
  while (entry.next()) {
    if (entry.field === 1) key = text(entry);
    else if (entry.field === 2) value = text(entry);
  }
  metadata[key] = value;
}

function text(reader: WireReader): string {
  return reader.buffer.toString("utf8", reader.start, reader.end);
}
