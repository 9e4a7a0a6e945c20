import type { Gap, Message } from "agentbus/node";
import { contractJson, type Json } from "./contract-json.ts";
import { printable, type Terminal } from "./terminal.ts";

/** Prints a message as it is read. */
export function printMessage(terminal: Terminal, message: Message): Promise<void> {
  return terminal.json ? terminal.printJson(messageJson(message)) : terminal.print(messageText(terminal, message));
}

/** A gap is a result, too: who reads a log must see where it is not whole. */
export function printGap(terminal: Terminal, gap: Gap): Promise<void> {
  if (terminal.json) return terminal.printJson({ gap });
  const { channel, firstSequence, lastSequence, cause } = gap;
  const range = `${firstSequence} to ${lastSequence ?? "an unknown one"}`;
  return terminal.print(terminal.paint("yellow", `-- gap in ${channel}: messages ${range} are lost (${cause})`));
}

/** The message under the contract's names, with its position. */
export function messageJson(message: Message): { readonly [key: string]: Json } {
  return { position: message.position, ...contractJson(message.raw) };
}

/** One line for each line of the text: when, where, who, what. */
function messageText(terminal: Terminal, message: Message): string {
  const { acceptedAt, address, sender, type, name } = message;
  const what = [...(type === "message" ? [] : [type]), ...(name === "" ? [] : [name])].map(printable).join(" ");
  const head = [
    terminal.paint("gray", acceptedAt === undefined ? "--:--:--" : timeOfDay(acceptedAt)),
    terminal.paint("cyan", message.direct ? "(inbox)" : address),
    terminal.paint("bold", printable(sender)) + audienceText(message) + (what === "" ? ":" : ` ${what}:`),
  ].join(" ");
  const lines = payloadText(message).split(/\r?\n/).map(printable);
  return `${head} ${lines.join("\n  ")}`.trimEnd();
}

function audienceText({ direct, raw: { to } }: Message): string {
  if (direct || to === undefined) return "";
  const names = [...to.agents, ...to.groups.map((group) => `group ${group}`), ...(to.select ? ["a selection"] : [])];
  return ` (to ${names.map(printable).join(", ")})`;
}

function payloadText(message: Message): string {
  const { payload } = message.raw;
  if (payload.case !== "data") return message.text;
  return `<${payload.value.byteLength} bytes, ${message.contentType}>`;
}

function timeOfDay(date: Date): string {
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}
