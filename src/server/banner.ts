import { styleText } from "node:util";

export interface BannerOptions {
  readonly version: string;
  /** For example "http://127.0.0.1:7400". */
  readonly url: string;
  /** The storage's URL, without password. */
  readonly storage: string;
  /** Whether what it holds outlives the process. */
  readonly durable: boolean;
  readonly keysRequired: boolean;
  /** Whether other machines reach the port. */
  readonly public: boolean;
  readonly colours: boolean;
}

/** What a newcomer must know once the server listens. Every command works as it stands. */
export function bannerText(options: BannerOptions): string {
  const { version, url, storage, durable, keysRequired, colours } = options;
  const paint = (style: "bold" | "yellow" | "gray", text: string) =>
    colours ? styleText(style, text, { validateStream: false }) : text;
  const key = keysRequired ? ' -H "authorization: Bearer $AGENTBUS_API_KEY"' : "";
  // Under TLS the protocol is settled by ALPN, and buf refuses the flag.
  const plain = url.startsWith("http:") ? "--http2-prior-knowledge " : "";
  const curl = (body: string, method: string) =>
    `curl -H 'content-type: application/json'${key} -d '${body}' ${url}/agentbus.v1.BusService/${method}`;
  const storageText = durable
    ? `${storage}: what was acknowledged outlives the process.`
    : paint("yellow", `${storage} forgets everything when the process ends. To keep it: --storage file:./data`);
  return `
${paint("bold", `agentbus ${version}`)} listens on ${paint("bold", url)} for gRPC, gRPC-Web and Connect.

  Storage  ${storageText}
  Access   ${accessText(options, paint)}

Try it from another terminal:

  ${paint("gray", "# alice says hi in the channel explore of the room science")}
  ${curl('{"agentId":"alice","room":"science","channel":"explore","messages":[{"text":"hi"}]}', "Publish")}

  ${paint("gray", "# bob reads what was said")}
  ${curl('{"agentId":"bob","room":"science","channel":"explore","waitDuration":"30s"}', "Fetch")}

  ${paint("gray", "# bob whispers into alice's inbox")}
  ${curl('{"agentId":"bob","messages":[{"to":{"agents":["alice"]},"text":"psst"}]}', "Publish")}

  ${paint("gray", "# bob listens to what was and will be said (buf is at https://buf.build/docs/cli)")}
  buf curl ${plain}--protocol grpc${key} -d '{"agentId":"bob","channels":["science:explore"],"last":10}' ${url}/agentbus.v1.BusService/Subscribe

More: ${url}/ ${paint("gray", "·")} ${url}/health ${paint("gray", "·")} ${url}/metrics

`;
}

function accessText(options: BannerOptions, paint: (style: "yellow", text: string) => string): string {
  if (options.keysRequired) return "calls need an API key.";
  if (options.public)
    return paint("yellow", "everyone who reaches this port may act for every agent (server.unsafePublic).");
  return "this machine alone, no key needed.";
}
