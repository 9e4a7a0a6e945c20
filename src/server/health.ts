import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import type { HealthState } from "./health-state.ts";

export interface ProbeAccess {
  /** Throws when the caller may not ask. Default: everyone may. */
  readonly authorize?: (authorization: string | undefined) => void;
}

/** Adds grpc.health.v1.Health to a router. */
export function registerHealth(router: ConnectRouter, state: HealthState, { authorize }: ProbeAccess = {}): void {
  const statusOf = (service: string): Status => {
    if (!state.services.includes(service)) return Status.SERVICE_UNKNOWN;
    return state.ready() ? Status.SERVING : Status.NOT_SERVING;
  };
  router.service(Health, {
    check({ service }, { requestHeader }) {
      authorize?.(requestHeader.get("authorization") ?? undefined);
      const status = statusOf(service);
      if (status === Status.SERVICE_UNKNOWN) {
        throw new ConnectError(`no service ${JSON.stringify(service)}; known: ${known(state)}`, Code.NotFound);
      }
      return { status };
    },

    list(_request, { requestHeader }) {
      authorize?.(requestHeader.get("authorization") ?? undefined);
      return {
        statuses: Object.fromEntries(state.services.map((service) => [service, { status: statusOf(service) }])),
      };
    },

    async *watch({ service }, { requestHeader, signal }) {
      authorize?.(requestHeader.get("authorization") ?? undefined);
      let told: Status | undefined;
      while (!signal.aborted) {
        const status = statusOf(service);
        if (status !== told) {
          told = status;
          yield { status };
        } else if (state.phase === "draining") {
          // Nothing can change any more; a watcher that stayed would hold up the drain.
          throw new ConnectError("the node is leaving: connect again", Code.Unavailable);
        } else {
          await nextChange(state, signal);
        }
      }
      throw signal.reason;
    },
  });
}

function nextChange(state: HealthState, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const stop = state.onChange(done);
    signal.addEventListener("abort", done);
  });
}

function known(state: HealthState): string {
  return state.services.filter((service) => service !== "").join(", ");
}
