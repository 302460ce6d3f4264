const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal that Ctrl-C, SIGTERM or a closed terminal aborts, so that work is put away before the process ends; `release` when it is done. */
export function untilInterrupted(): { readonly signal: AbortSignal; release(): void } {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  for (const signal of SIGNALS) process.once(signal, abort);
  return {
    signal: stop.signal,
    release() {
      for (const signal of SIGNALS) process.off(signal, abort);
    },
  };
}
