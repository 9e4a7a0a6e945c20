import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { describe, it, onTestFinished } from "vitest";
import { MysqlConnection } from "./connection.ts";
import { resolveMysqlOptions } from "./options.ts";

/** Longer than any test may take: what is noticed only then fails the test. */
const PATIENCE_MS = 600_000;

async function serve(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    onConnection(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

async function open(port: number): Promise<MysqlConnection> {
  const patience = { connectTimeoutMs: PATIENCE_MS, timeoutMs: PATIENCE_MS };
  return await MysqlConnection.open(resolveMysqlOptions(`mysql://bus:secret@127.0.0.1:${port}/bus`, patience));
}

function packet(number: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  header[3] = number;
  return Buffer.concat([header, payload]);
}

/** Protocol 10, of a server with 4.1 passwords and multiple statements, which asks for a native password. */
const GREETING = packet(
  0,
  Buffer.concat([
    Buffer.from("\x0a8.0.40\0", "latin1"),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from("12345678\0", "latin1"),
    Buffer.from([0x09, 0xa2, 45, 0x02, 0x00, 0x09, 0x00, 21]),
    Buffer.alloc(10),
    Buffer.from("123456789012\0mysql_native_password\0", "latin1"),
  ]),
);
const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0]);

describe("a connection to MySQL", () => {
  // It was noticed when the whole time for connecting was over.
  it("notices a server that closes before it greets", async () => {
    const port = await serve((socket) => socket.end());
    await assert.rejects(open(port), /closed/i);
  });

  it("notices a server that closes in the middle of its greeting", async () => {
    const port = await serve((socket) => socket.end(GREETING.subarray(0, 20)));
    await assert.rejects(open(port), /closed/i);
  });

  // A server that was killed during a migration held the opening for a minute.
  it("notices a server that closes with a statement unanswered", async () => {
    let asked = "";
    const port = await serve((socket) => {
      socket.write(GREETING);
      socket.once("data", () => {
        socket.write(packet(2, OK));
        socket.once("data", (statement) => {
          asked = statement.toString("latin1", 5);
          socket.end();
        });
      });
    });
    await assert.rejects(open(port), /closed/i);
    assert.match(asked, /^SELECT|^SHOW/);
  });

  it("notices a server that resets it with a statement unanswered", async () => {
    const port = await serve((socket) => {
      socket.write(GREETING);
      socket.once("data", () => {
        socket.write(packet(2, OK));
        socket.once("data", () => socket.resetAndDestroy());
      });
    });
    await assert.rejects(open(port), /reset|closed/i);
  });
});
