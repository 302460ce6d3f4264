import { setFlagsFromString } from 'node:v8';
import type { Defects } from './telemetry/defects';

/**
 * Settings of V8 that keep collections from holding up requests; docs/decisions/gateway-data.md has what each did. For
 * processes that serve and do little else; before the first request.
 *
 * What belongs to a request is allocated among young objects, always. By itself V8 decides at some young collection,
 * often while the process is still warming up, that objects of some place in the code live long, and from then on
 * places them among old ones. There they are soon garbage that no young collection can see, and whatever they point to
 * survives with them: each collection copied 1.5 MB in place of 17 KB, and took five times as long, until the process
 * ended.
 *
 * Old objects are marked in small steps on the main thread. V8's own four marking threads, where a gateway has one
 * core, take most of it for 20 ms at a time.
 *
 * The space for young objects grows to its full size in one step. V8 shrinks it without traffic, and later doubles it
 * only when as many bytes as it holds have survived. Few of a gateway's objects survive, so the space stays small:
 * young collections come three times as often, each moves requests in progress among old objects, and full collections
 * follow within seconds.
 *
 * A full collection starts when the heap is three times as large as what the last one left. By default V8 starts one
 * after 8 MB of growth, received bytes included, so each body of 20 MB caused one.
 */
export function keepCollectionsShort(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
  setFlagsFromString('--no-concurrent-marking');
  setFlagsFromString('--semi-space-growth-factor=16');
  setFlagsFromString('--heap-growing-percent=200');
}

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
