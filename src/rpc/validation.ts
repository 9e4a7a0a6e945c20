import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { BusError } from "../core/errors.ts";

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
      const violations = result.violations.map((violation) => ({
        field: pathToString(violation.field),
        description: violation.message,
      }));
      const [first] = violations;
      const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : "";
      throw new BusError("INVALID_FIELD", `${first!.field}: ${first!.description}${more}`, { violations });
    },
  };
}
