import { type DescMessage, isFieldSet, type MessageShape } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import type { Limits } from "../../core/bus-options.ts";
import { BusError } from "../../core/errors.ts";
import { quote } from "../../core/names.ts";

/** Fields from this number on are set by the server. */
const FIRST_SERVER_FIELD = 32;
const METADATA_KEY_BYTES = 128;

export function invalidField(field: string, description: string): BusError {
  return new BusError("INVALID_FIELD", `${field}: ${description}`, { violations: [{ field, description }] });
}

/** Throws SERVER_FIELD when the client set what only the server sets. `path` names the message in the request. */
export function refuseServerFields<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  path: string,
): void {
  const set = schema.fields.find((field) => field.number >= FIRST_SERVER_FIELD && isFieldSet(message, field));
  if (set === undefined) return;
  throw new BusError("SERVER_FIELD", `${path}.${set.name} is set by the server: leave it unset`);
}

/** The paths of an update, each of which must be one of `allowed`. Throws INVALID_FIELD. */
export function updatePaths<Path extends string>(
  mask: FieldMask | undefined,
  allowed: readonly Path[],
): ReadonlySet<Path> {
  const paths = mask?.paths ?? [];
  if (paths.length === 0) throw invalidField("update_mask", `name at least one of ${allowed.join(", ")}`);
  for (const path of paths) {
    if (!(allowed as readonly string[]).includes(path)) {
      throw invalidField("update_mask", `${quote(path)} is not one of ${allowed.join(", ")}`);
    }
  }
  return new Set(paths as Path[]);
}

/** Free key-value pairs within `limits.metadataKeys` and `limits.metadataBytes`. Throws INVALID_FIELD. */
export function checkMetadata(field: string, metadata: Readonly<Record<string, string>>, limits: Limits): void {
  const entries = Object.entries(metadata);
  if (entries.length > limits.metadataKeys) {
    throw invalidField(field, `has ${entries.length} keys, more than limits.metadataKeys (${limits.metadataKeys})`);
  }
  let bytes = 0;
  for (const [key, value] of entries) {
    const keyBytes = Buffer.byteLength(key);
    if (keyBytes < 1 || keyBytes > METADATA_KEY_BYTES) {
      throw invalidField(field, `key ${quote(key)} must be 1 to ${METADATA_KEY_BYTES} bytes`);
    }
    bytes += keyBytes + Buffer.byteLength(value);
  }
  if (bytes > limits.metadataBytes) {
    throw invalidField(field, `has ${bytes} bytes, more than limits.metadataBytes (${limits.metadataBytes})`);
  }
}
