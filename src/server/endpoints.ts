import { BusError, isBusError } from "../core/errors.ts";
import type { Authenticator } from "../core/identity.ts";
import type { ReadableMeters } from "../observability/meters.ts";
import { type AnyRequest, type AnyResponse, respond, respondError, respondJson } from "./error-response.ts";
import type { HealthState } from "./health-state.ts";

export interface EndpointOptions {
  readonly node: { readonly id: string; readonly name: string };
  /** The program's version. */
  readonly version: string;
  /** The envelope's version, for example "1.0". */
  readonly protocolVersion: string;
  readonly health: HealthState;
  readonly meters: Pick<ReadableMeters, "contentType" | "text" | "json">;
  readonly authenticator: Authenticator;
  /** What needs no key where there are keys. Metrics that are not public need one with admin. */
  readonly public: { readonly health: boolean; readonly metrics: boolean };
}

/** Answers the plain HTTP paths. False: the path is none of them, and nothing was done. */
export type Endpoints = (request: AnyRequest, response: AnyResponse) => boolean;

interface Endpoint {
  readonly access: "open" | "health" | "metrics";
  answer(response: AnyResponse): void | Promise<void>;
}

const RPC_PATH = /^\/[A-Za-z][\w.]*\/\w+$/;

export function createEndpoints(options: EndpointOptions): Endpoints {
  const { node, version, protocolVersion, health, meters, authenticator } = options;
  const startedAt = performance.now();
  const versions = { server: version, protocol: protocolVersion, node: node.id, name: node.name };

  const paths: Readonly<Record<string, Endpoint>> = {
    "/": {
      access: "open",
      answer: (response) => respond(response, 200, { "content-type": "text/plain; charset=utf-8" }, welcome(versions)),
    },
    // Liveness: a storage that is away is not mended by restarting this process, so it is told and still 200.
    "/health": {
      access: "health",
      answer: (response) => {
        const problems = health.problems();
        const uptimeSeconds = Math.floor((performance.now() - startedAt) / 1_000);
        const status = problems.length === 0 ? "ok" : "degraded";
        respondJson(response, 200, {
          status,
          phase: health.phase,
          problems,
          node: node.id,
          name: node.name,
          uptimeSeconds,
        });
      },
    },
    "/ready": {
      access: "health",
      answer: (response) => {
        const ready = health.ready();
        respondJson(response, ready ? 200 : 503, { ready, phase: health.phase, problems: health.problems() });
      },
    },
    "/version": { access: "health", answer: (response) => respondJson(response, 200, versions) },
    "/metrics": {
      access: "metrics",
      answer: async (response) => respond(response, 200, { "content-type": meters.contentType }, await meters.text()),
    },
    "/metrics.json": { access: "metrics", answer: async (response) => respondJson(response, 200, await meters.json()) },
  };

  function authorize(access: Endpoint["access"], request: AnyRequest): void {
    if (access === "open" || !authenticator.required || options.public[access]) return;
    const identity = authenticator.authenticate(request.headers.authorization);
    if (access === "metrics" && !identity.admin) throw new BusError("ADMIN_ONLY", "metrics want an API key with admin");
  }

  async function serve(endpoint: Endpoint, request: AnyRequest, response: AnyResponse): Promise<void> {
    try {
      authorize(endpoint.access, request);
      await endpoint.answer(response);
    } catch (error) {
      const told = isBusError(error) ? error : new BusError("INTERNAL", "internal error", { cause: error });
      const headers = told.reason === "UNAUTHENTICATED" ? { "www-authenticate": 'Bearer realm="agentbus"' } : {};
      respondError(request, response, told, { headers });
    }
  }

  return (request, response) => {
    const path = pathOf(request.url);
    const endpoint = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (endpoint === undefined) {
      if (RPC_PATH.test(path)) return false;
      const error = new BusError("METHOD_NOT_FOUND", `nothing is at ${path.slice(0, 200)}; GET / says what is`);
      respondError(request, response, error, { httpStatus: 404 });
    } else if (request.method !== "GET" && request.method !== "HEAD") {
      const message = `${path} takes GET and HEAD`;
      respondJson(response, 405, { code: "unimplemented", message }, { allow: "GET, HEAD" });
    } else {
      void serve(endpoint, request, response);
    }
    return true;
  };
}

function pathOf(url: string | undefined): string {
  const path = url ?? "";
  const query = path.indexOf("?");
  return query === -1 ? path : path.slice(0, query);
}

function welcome({ server, name, node }: { server: string; name: string; node: string }): string {
  return `This is ${name} (node ${node}), an agentbus ${server}: a message bus for systems of agents.

It speaks gRPC, gRPC-Web and Connect on this port. Its services are listed by reflection:

  buf curl --http2-prior-knowledge --protocol grpc --list-methods <this address>

Also here: /health /ready /version /metrics /metrics.json
`;
}
