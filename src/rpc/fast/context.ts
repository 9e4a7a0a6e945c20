import type { Bus } from "../../bus/bus.ts";
import type { CallMeter } from "../call-meter.ts";
import type { Callers } from "../callers.ts";
import type { RequestValidator } from "../errors/validation.ts";
import type { OpenLines } from "../lines/open-lines.ts";

/** What every call on the fast path needs. */
export interface FastContext {
  readonly bus: Bus;
  readonly callers: Callers;
  readonly validator: RequestValidator;
  readonly meter: CallMeter;
  readonly lines: OpenLines;
}
