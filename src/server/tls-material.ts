import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";

/** What TLS needs, in PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** The authorities that sign clients' certificates. */
  readonly ca?: string;
  /** Refuse clients without a certificate signed by `ca`. */
  readonly requestClientCert: boolean;
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string | undefined;
  readonly requestClientCert: boolean;
}

/** Reads the files and checks that key and certificate belong together. Throws an error that names the file. */
export function readTlsMaterial(files: TlsFiles): TlsMaterial {
  const cert = read("cert", files.cert);
  const key = read("key", files.key);
  const ca = files.ca === undefined ? undefined : read("ca", files.ca);
  try {
    createSecureContext({ cert, key, ...(ca !== undefined && { ca }) });
  } catch (cause) {
    throw new Error(`server.tls: ${files.cert} and ${files.key} do not make a pair: ${textOf(cause)}`, { cause });
  }
  return { cert, key, ...(ca !== undefined && { ca }), requestClientCert: files.requestClientCert };
}

function read(key: string, file: string): string {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new Error(`server.tls.${key}: ${file} cannot be read: ${textOf(cause)}`, { cause });
  }
  // OpenSSL takes an empty file for none at all, and the first handshake would tell.
  if (!text.includes("-----BEGIN ")) throw new Error(`server.tls.${key}: ${file} is not PEM`);
  return text;
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
