import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { BusError } from "../../core/errors.ts";

/** Told of one request: gRPC puts them into a trailer, and clients refuse long ones. */
const MAX_VIOLATIONS = 20;
/** The key of a map is part of a path. */
const MAX_PATH_LENGTH = 200;

/** Checks requests by the rules that stand in the protos. */
export interface RequestValidator {
  /** Throws INVALID_FIELD with a violation for each broken rule. */
  check<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void;
}

/** `schemas` are compiled at once: the first use of a type costs tens of milliseconds. */
export function createRequestValidator(schemas: readonly DescMessage[]): RequestValidator {
  const validator = createValidator();
  for (const schema of schemas) validator.validate(schema, create(schema));
  return {
    check(schema, message) {
      const result = validator.validate(schema, message);
      if (result.kind === "valid") return;
      if (result.kind === "error")
        throw new BusError("INTERNAL", "a rule in the protos is broken", { cause: result.error });
      const violations = result.violations.slice(0, MAX_VIOLATIONS).map((violation) => ({
        field: pathToString(violation.field).slice(0, MAX_PATH_LENGTH),
        description: violation.message,
      }));
      const [first] = violations;
      const more = result.violations.length > 1 ? ` (and ${result.violations.length - 1} more)` : "";
      throw new BusError("INVALID_FIELD", `${first!.field}: ${first!.description}${more}`, { violations });
    },
  };
}
