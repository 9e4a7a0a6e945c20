/** Preloaded into servers: SIGUSR2 collects garbage, so that the memory figures compare what is really held. */
process.on("SIGUSR2", () => {
  globalThis.gc?.();
  globalThis.gc?.();
});
