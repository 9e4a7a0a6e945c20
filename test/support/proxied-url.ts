import { openTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

export interface ProxiedUrl {
  /** Leads through the proxy to the server of the given URL. */
  readonly url: string;
  readonly proxy: TcpProxy;
  /** Cuts every link and refuses new ones; false: new ones can be made. */
  cutOff(isCut: boolean): void;
}

/** A URL of one server ("redis://127.0.0.1:6379/0"), led through a proxy that misbehaves on demand. */
export async function openProxiedUrl(url: string): Promise<ProxiedUrl> {
  const target = new URL(url);
  const proxy = await openTcpProxy({ targetHost: target.hostname, targetPort: Number(target.port) });
  target.port = String(proxy.port);
  return {
    url: target.href,
    proxy,
    cutOff(isCut) {
      proxy.refuse(isCut);
      if (isCut) proxy.cutAll();
    },
  };
}
