/** Something that runs until it is stopped or fails by itself. */
export interface Stoppable {
  /** Rejects when it fails by itself. */
  readonly stopped: Promise<void>;
  stop(): Promise<void>;
}

/** Waits for Ctrl-C, SIGTERM, or the first part that fails; then stops all, the last one started first. */
export async function untilStopped(parts: readonly Stoppable[]): Promise<void> {
  let release: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    release = resolve;
  });
  process.once('SIGINT', release);
  process.once('SIGTERM', release);
  try {
    await Promise.race([asked, ...parts.map(({ stopped }) => stopped)]);
  } finally {
    process.off('SIGINT', release);
    process.off('SIGTERM', release);
    for (const part of [...parts].reverse()) await part.stop();
  }
}
