import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import type { Content } from "../src/content.ts";
import { MessageSchema, MessageType } from "../src/gen/agentbus/v1/message_pb.ts";
import { Message } from "../src/message.ts";
import { composeMessage, type SendOptions } from "../src/outgoing.ts";

const receipt = { id: "", position: "", duplicate: false, audience: undefined, durability: "stored" } as const;

function read(init: MessageInitShape<typeof MessageSchema>): { message: Message; replies: [Content, SendOptions][] } {
  const replies: [Content, SendOptions][] = [];
  const raw = create(MessageSchema, {
    id: "m1",
    room: "science",
    channel: "explore",
    sender: "bob",
    sequence: 7n,
    epoch: 0xab,
    ...init,
  });
  const send = async (content: Content, options: SendOptions) => {
    replies.push([content, options]);
    return receipt;
  };
  return { message: new Message(raw, { send }), replies };
}

/** As it is read after it was sent. */
function roundTrip(content: Content, options: SendOptions = {}): Message {
  const { message } = composeMessage(content, { channel: "science:explore", ...options }, () => "");
  return new Message(message, { send: async () => receipt });
}

describe("a message", () => {
  it("gives back what was sent", () => {
    expect(roundTrip("hi")).toMatchObject({ text: "hi", content: "hi", contentType: "text/plain" });
    expect(roundTrip({ a: [1, null] })).toMatchObject({
      text: '{"a":[1,null]}',
      content: { a: [1, null] },
      contentType: "application/json",
    });
    expect(roundTrip(42).content).toBe(42);
    expect(roundTrip(null).content).toBeNull();
    expect(roundTrip(Uint8Array.of(104, 105))).toMatchObject({
      text: "hi",
      content: Uint8Array.of(104, 105),
      contentType: "application/octet-stream",
    });
    expect(roundTrip(undefined, { type: "event", name: "Started" })).toMatchObject({
      text: "",
      content: undefined,
      contentType: "",
      type: "event",
      name: "Started",
    });
    expect(roundTrip("[1]", { contentType: "application/problem+json; charset=utf-8" }).content).toEqual([1]);
    expect(() => roundTrip("{").json()).toThrow("is not JSON");
  });

  it("tells the envelope", () => {
    const acceptedAt = new Date(1_700_000_000_000);
    const { message } = read({
      type: MessageType.COMMAND,
      acceptTime: timestampFromDate(acceptedAt),
      timeToLive: durationFromMs(1_500),
      hopCount: 2,
    });
    expect(message).toMatchObject({
      position: "science:explore@000000ab.7",
      address: "science:explore",
      direct: false,
      type: "command",
      sequence: 7,
    });
    expect(message).toMatchObject({ acceptedAt, timeToLiveMs: 1_500, hopCount: 2, epoch: 0xab });
    expect(read({ type: 99 as MessageType }).message.type).toBe("unknown");
  });
});

describe("a reply", () => {
  const position = "science:explore@000000ab.7";

  it.each([
    ["to an open message goes to its channel", {}, { channel: "science:explore" }],
    [
      "to a message for chosen readers goes to the sender alone",
      { to: { agents: ["alice"] } },
      { channel: "science:explore", to: "bob" },
    ],
    [
      "to a direct message goes to the sender's inbox",
      { room: "_inbox", channel: "alice", to: { agents: ["alice"] } },
      { to: "bob", causation: "_inbox:alice@000000ab.7" },
    ],
    ["goes where the sender asked for it", { replyTo: "science:answers" }, { channel: "science:answers" }],
    ["goes to the inbox that the sender asked for", { replyTo: "_inbox:a:b" }, { to: "a:b" }],
    [
      "repeats the correlation id",
      { correlationId: "thread" },
      { channel: "science:explore", correlationId: "thread" },
    ],
    ["to a command is its result", { type: MessageType.COMMAND }, { channel: "science:explore", type: "result" }],
  ] as const)("%s", async (_, init, expected) => {
    const { message, replies } = read(init as MessageInitShape<typeof MessageSchema>);
    await message.reply("yes");
    expect(replies).toEqual([["yes", { causation: position, correlationId: "m1", ...expected }]]);
  });

  it("obeys the options", async () => {
    const { message, replies } = read({ to: { agents: ["alice"] } });
    await message.reply("yes", { to: ["carol"], priority: 9 });
    await message.reply("yes", { channel: "science:other" });
    expect(replies.map(([, options]) => options)).toEqual([
      { causation: position, correlationId: "m1", channel: "science:explore", to: ["carol"], priority: 9 },
      { causation: position, correlationId: "m1", channel: "science:other" },
    ]);
  });
});
