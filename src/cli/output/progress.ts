import type { Terminal } from "./terminal.ts";

// Shorter waits need no explanation, and a line that flashes up disturbs.
const SILENT_MS = 400;
const FRAME_MS = 100;
const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const CLEAR_LINE = "\r\x1b[2K";

/** Shows, on a terminal, what is waited for and since when; disposing takes it away. */
export function showProgress(terminal: Terminal, text: () => string): Disposable {
  if (!terminal.showsProgress) return { [Symbol.dispose]() {} };
  const startedAt = performance.now();
  let frame = 0;
  let shown = false;
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - startedAt;
    if (elapsedMs < SILENT_MS) return;
    shown = true;
    frame = (frame + 1) % FRAMES.length;
    terminal.writeError(`${CLEAR_LINE}${FRAMES[frame]} ${text()} (${Math.floor(elapsedMs / 1_000)} s)`);
  }, FRAME_MS).unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      if (shown) terminal.writeError(CLEAR_LINE);
    },
  };
}
