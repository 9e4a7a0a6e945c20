import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

// More than any message may hold: a line without an end must not fill the memory.
const MAX_LINE_CHARACTERS = 16 * 1_048_576;

/** The lines of a stream, without their ends; the last one needs none. Ends early, without an error, on `signal`. */
export async function* readLines(input: Readable, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  const stop = () => void input.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    for await (const chunk of input) {
      const lines = (rest + decoder.write(chunk as Buffer)).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MAX_LINE_CHARACTERS) {
        throw new Error(`a line of standard input is longer than ${MAX_LINE_CHARACTERS} characters`);
      }
      for (const line of lines) yield line.replace(/\r$/, "");
    }
    rest += decoder.end();
    if (rest !== "") yield rest;
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
