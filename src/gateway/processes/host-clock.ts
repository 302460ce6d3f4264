const TRIES = 50;
/** Two readings that are closer than this, milliseconds, were not interrupted. */
const CLOSE_MS = 0.05;

/** What `performance.now()` lacks to the host's monotonic clock, whose zero all processes of a host share. */
function readOffsetMs(): number {
  let offsetMs = 0;
  let closestMs = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && closestMs > CLOSE_MS; tries += 1) {
    const before = performance.now();
    const hostMs = Number(process.hrtime.bigint()) / 1e6;
    const apartMs = performance.now() - before;
    if (apartMs >= closestMs) continue;
    closestMs = apartMs;
    // Never behind the host's clock: a lease may end early by this little, not late.
    offsetMs = hostMs - before;
  }
  return offsetMs;
}

const offsetMs = readOffsetMs();

/** Milliseconds of the host's monotonic clock: the same moment reads the same in every process of this host. */
export function hostNowMs(): number {
  return performance.now() + offsetMs;
}
