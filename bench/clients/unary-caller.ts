import { GrpcMessageReader } from "./grpc-message-reader.ts";
import type { Http2Connection } from "./http2-connection.ts";

/** Makes one unary gRPC call; resolves to the response's bytes. Rejects when there is none. */
export function callUnary(connection: Http2Connection, path: string, framedRequest: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let response: Buffer | undefined;
    const reader = new GrpcMessageReader((message) => {
      response = message;
    });
    const id = connection.open(path, {
      data: (bytes, start, end) => reader.read(bytes, start, end),
      ended(problem) {
        if (response && problem === undefined) resolve(response);
        else reject(new Error(`${path} failed: ${problem ?? "the server answered with a status"}`));
      },
    });
    connection.send(id, framedRequest, true);
  });
}
