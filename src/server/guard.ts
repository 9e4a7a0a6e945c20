import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import { cors } from "@connectrpc/connect";
import { hostMatcher, isLoopbackName, parseAuthority } from "./host-names.ts";

export interface GuardOptions {
  /**
   * Whether Host is checked. It must be where calls need no key: a page of a stranger whose name is rebound to a loopback
   * address speaks to the bus with the stranger's name in Host.
   */
  readonly checkHost: boolean;
  /** Names allowed beside the loopback ones, with or without port; "*": any. */
  readonly allowedHosts: readonly string[];
  /** Origins of pages that may call, for example "https://console.example.com"; "*": any. */
  readonly allowedOrigins: readonly string[];
}

export type Verdict =
  /** `corsHeaders`: what the response must carry for the page to read it; undefined when no page of another origin calls. */
  | { readonly kind: "allowed"; readonly corsHeaders: OutgoingHttpHeaders | undefined }
  /** A browser's question before a call: 204 with these headers is the whole answer. */
  | { readonly kind: "preflight"; readonly headers: OutgoingHttpHeaders }
  | { readonly kind: "refused"; readonly cause: "host" | "origin"; readonly message: string };

/** Looks at the headers of each request, HTTP/1.1 and HTTP/2 alike, before anything else does. */
export interface Guard {
  check(method: string | undefined, headers: IncomingHttpHeaders): Verdict;
}

/** Two hours: what Chromium allows at most. */
const PREFLIGHT_MAX_AGE_SECONDS = 7_200;

const ALLOWED: Verdict = { kind: "allowed", corsHeaders: undefined };

export function createGuard({ checkHost, allowedHosts, allowedOrigins }: GuardOptions): Guard {
  const isListed = hostMatcher(allowedHosts);
  const origins = new Set(allowedOrigins.map((origin) => origin.toLowerCase()));
  // Clients repeat themselves: nearly every request has the Host of the one before.
  let lastAllowedHost: string | undefined;

  function hostAllowed(host: string | undefined): boolean {
    if (!checkHost || (host !== undefined && host === lastAllowedHost)) return true;
    const authority = host === undefined ? undefined : parseAuthority(host);
    if (authority === undefined || !(isLoopbackName(authority.name) || isListed(authority))) return false;
    lastAllowedHost = host;
    return true;
  }

  return {
    check(method, headers) {
      const authority = headers[":authority"] as string | undefined;
      const host = authority ?? headers.host;
      // HTTP/2 may carry both; a request must not be judged by one and served by the other.
      if (!hostAllowed(host) || (authority !== undefined && headers.host !== undefined && !hostAllowed(headers.host))) {
        return refused("host", host, "add the name to server.allowedHosts");
      }
      const { origin } = headers;
      if (origin === undefined) return ALLOWED;
      if (!origins.has("*") && !origins.has(origin.toLowerCase())) {
        if (isSameOrigin(origin, host)) return ALLOWED;
        return refused("origin", origin, "add the page's origin to server.allowedOrigins");
      }
      if (method === "OPTIONS" && headers["access-control-request-method"] !== undefined) {
        return { kind: "preflight", headers: preflightHeaders(origin) };
      }
      return { kind: "allowed", corsHeaders: responseHeaders(origin) };
    },
  };
}

function refused(cause: "host" | "origin", value: string | undefined, remedy: string): Verdict {
  const shown = value === undefined ? "is missing" : `${JSON.stringify(value.slice(0, 200))} is not allowed`;
  return { kind: "refused", cause, message: `the ${cause === "host" ? "Host" : "Origin"} header ${shown}: ${remedy}` };
}

/** Whether a page that the bus itself served calls. */
function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined || !/^https?:\/\//i.test(origin)) return false;
  const page = URL.parse(origin);
  return page !== null && page.host === URL.parse(`${page.protocol}//${host}`)?.host;
}

function preflightHeaders(origin: string): OutgoingHttpHeaders {
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": cors.allowedMethods.join(", "),
    "access-control-allow-headers": [...cors.allowedHeaders, "authorization"].join(", "),
    "access-control-max-age": String(PREFLIGHT_MAX_AGE_SECONDS),
    vary: "origin",
  };
}

function responseHeaders(origin: string): OutgoingHttpHeaders {
  return {
    "access-control-allow-origin": origin,
    "access-control-expose-headers": cors.exposedHeaders.join(", "),
    vary: "origin",
  };
}
