/** Something that runs until it is stopped or fails by itself. */
export interface Stoppable {
  /** Rejects when it fails by itself. */
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Waits for Ctrl-C, SIGTERM, or the first part that fails; then stops all, the last one started first. `atHangup`: also
 * when the terminal is closed.
 */
export async function untilStopped(
  parts: readonly Stoppable[],
  { atHangup = false }: { readonly atHangup?: boolean } = {},
): Promise<void> {
  let release: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    release = resolve;
  });
  const signals = ['SIGINT', 'SIGTERM', ...(atHangup ? (['SIGHUP'] as const) : [])] as const;
  for (const signal of signals) process.once(signal, release);
  try {
    await Promise.race([asked, ...parts.map(({ stopped }) => stopped)]);
  } finally {
    for (const signal of signals) process.off(signal, release);
    for (const part of [...parts].reverse()) await part.stop();
  }
}
