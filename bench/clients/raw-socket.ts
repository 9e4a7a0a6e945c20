import { connect } from "node:net";

/** A TCP connection that reads into a shared buffer and gathers the writes of one turn into one system call. */
export interface RawSocket {
  write(bytes: Buffer): void;
  /** Writes at once what would be written at the end of this turn. */
  flush(): void;
  close(): void;
}

/** One buffer serves all connections of the process: what is read is consumed before the next read. */
const readBuffer = Buffer.allocUnsafeSlow(262_144);

/** Connects; `onBytes` gets what arrives, valid only during the call, `onClose` why the connection is gone. */
export function openRawSocket(
  port: number,
  onBytes: (bytes: Buffer, end: number) => void,
  onClose: (problem: string) => void,
): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    let out: Buffer[] = [];
    let closed = false;
    const socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: readBuffer,
        callback: (size) => {
          onBytes(readBuffer, size);
          return true;
        },
      },
    });
    const flush = () => {
      const pieces = out;
      if (pieces.length === 0 || closed) return;
      out = [];
      socket.write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
    };
    socket.once("error", (error) => {
      reject(error);
      if (!closed) onClose(error.message);
    });
    socket.once("close", () => {
      if (!closed) onClose("the connection was closed");
    });
    socket.once("connect", () =>
      resolve({
        write(bytes) {
          out.push(bytes);
          if (out.length === 1) queueMicrotask(flush);
        },
        flush,
        close() {
          closed = true;
          socket.destroy();
        },
      }),
    );
  });
}
