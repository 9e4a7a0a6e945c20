import type { Bus } from "../../bus/bus.ts";
import type { CallMeter } from "../call-meter.ts";
import type { Callers } from "../callers.ts";
import type { OpenLines } from "../open-lines.ts";
import type { RequestValidator } from "../validation.ts";

/** What every call on the fast path needs. */
export interface FastContext {
  readonly bus: Bus;
  readonly callers: Callers;
  readonly validator: RequestValidator;
  readonly meter: CallMeter;
  readonly lines: OpenLines;
}
