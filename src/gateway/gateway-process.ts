import type { Defects } from './telemetry/defects';

/**
 * An exception that no guard met is logged and counted, and the process serves on: what it cost is at most the one
 * event that it came from, while ending the process would cut every stream of every caller, and again at the next
 * such event. Nothing that routing promises hangs on an event: leases and epochs are compared at every send.
 * Replaces whatever listens for such exceptions.
 */
export function serveOn(defects: Defects): void {
  process.removeAllListeners('uncaughtException');
  // Rejections that nobody handles arrive here as well.
  process.on('uncaughtException', (error, origin) => defects.report(error, { during: origin }));
}

/** For what has to be written and closed once the drain is over. */
const GRACE_MS = 5_000;

/**
 * Ends the process some seconds after its drain whatever still holds it open: a disk that hangs, a defect. To be
 * called when the stop begins.
 */
export function exitAtTheLatest(drainMs: number, lastWords: () => void): void {
  const timer = setTimeout(() => {
    lastWords();
    process.exit(1);
  }, drainMs + GRACE_MS);
  // A process that ends by itself does not wait for this.
  timer.unref();
}
