import {
  type BucketCounts,
  type Evidence,
  type EvidenceCell,
  type EvidenceKind,
  emptyCell,
} from './evidence';
import { GAMMA, type Histogram } from './histogram';
import type { Side } from './routing';

/** A uniform number from 0 (included) to 1 (excluded). */
export type Random = () => number;

/** A seeded generator (sfc32, Doty-Humphrey's PractRand): the same seed gives the same traffic. */
export function seededRandom(seed: number): Random {
  let [a, b, c, counter] = [0, seed >>> 0, (seed / 0x1_0000_0000) | 0, 1];
  const next = () => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return (t >>> 0) / 0x1_0000_0000;
  };
  for (let warmUp = 0; warmUp < 15; warmUp += 1) next();
  return next;
}

/** What an arm does in one window. */
export interface ArmBehaviour {
  /** Part of its requests that fail, 0 to 1. */
  readonly failureRate: number;
  /** Every latency is multiplied by this. */
  readonly latencyFactor: number;
}

/** Keys to which requests belong, when assignment is sticky. */
export interface KeyModel {
  readonly keys: number;
  /** A key's traffic falls as 1 / rank^skew. */
  readonly skew: number;
  /** Part of the keys that fail always at `failingRate`, such as those with a broken prompt. */
  readonly failingKeys: number;
  readonly failingRate: number;
  /** Chance that a key fails with every request of a window, such as a retry storm. */
  readonly episodes: number;
}

/** Traffic to draw: sizes, latencies and what each arm does when. */
export interface TrafficModel {
  readonly share: number;
  /** The same in every window, or by window, counted from 0. */
  readonly requestsPerWindow: number | ((window: number) => number);
  /** Part of the requests that are streams. */
  readonly streamShare: number;
  /** Legacy's latencies, in milliseconds: given, or measured. */
  readonly totalMs: Histogram;
  readonly firstTokenMs: Histogram;
  readonly legacy: ArmBehaviour;
  /** What the candidate does in a window, counted from 0. */
  readonly candidate: (window: number) => ArmBehaviour;
  readonly keys: KeyModel | null;
}

/** Draws the evidence of windows 0, 1, 2 ... of one migration stage, as gateways would report it. */
export function* rehearse(model: TrafficModel, epoch: number, random: Random): Generator<Evidence, never> {
  const totalMs = valueSampler(model.totalMs);
  const firstTokenMs = valueSampler(model.firstTokenMs);
  const keys = model.keys === null ? null : drawKeys(model.keys, model.share, random);
  for (let window = 0; ; window += 1) {
    const behaviour = { legacy: model.legacy, candidate: model.candidate(window) };
    const storms = new Set(keys?.episodes(random));
    const tallies = { legacy: new ArmTally(), candidate: new ArmTally() };
    const { requestsPerWindow: requests } = model;
    const due = typeof requests === 'number' ? requests : requests(window);
    for (let request = 0; request < due; request += 1) {
      const key = keys?.draw(random) ?? null;
      const side: Side = (key === null ? random() : key.position) < model.share ? 'candidate' : 'legacy';
      const { failureRate, latencyFactor } = behaviour[side];
      const stormy = key !== null && storms.has(key);
      const failed = random() < (stormy ? 1 : Math.max(failureRate, key?.failureRate ?? 0));
      const shift = Math.log(latencyFactor) / Math.log(GAMMA);
      const stream = random() < model.streamShare;
      const bucket = Math.round((stream ? firstTokenMs : totalMs)(random) + shift);
      tallies[side].add(stream ? 'stream' : 'plain', failed, bucket, key?.bucket ?? null);
    }
    yield evidenceOf(tallies, epoch);
  }
}

/** Draws bucket numbers with the frequencies of a histogram. */
function valueSampler(histogram: Histogram): (random: Random) => number {
  const ends = new Float64Array(histogram.buckets.length);
  let total = 0;
  histogram.buckets.forEach(([, count], index) => {
    total += count;
    ends[index] = total;
  });
  if (total === 0) throw new RangeError('expected latencies to draw from, got an empty histogram');
  return (random) => histogram.buckets[firstAbove(ends, random() * total)]?.[0] ?? 0;
}

/** The index of the first of some rising numbers that is above a value. */
function firstAbove(rising: Float64Array, value: number): number {
  let [low, high] = [0, rising.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rising[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

interface Key {
  readonly position: number;
  readonly bucket: number;
  readonly failureRate: number;
}

interface Keys {
  draw(random: Random): Key;
  /** The keys that fail with every request of this window. */
  episodes(random: Random): Key[];
}

const BUCKETS = 256;

function drawKeys(model: KeyModel, share: number, random: Random): Keys {
  const ends = new Float64Array(model.keys);
  const keys: Key[] = [];
  let total = 0;
  for (let rank = 0; rank < model.keys; rank += 1) {
    total += 1 / (rank + 1) ** model.skew;
    ends[rank] = total;
    keys.push({
      position: random(),
      bucket: Math.floor(random() * BUCKETS),
      failureRate: random() < model.failingKeys ? model.failingRate : 0,
    });
  }
  if (keys.length === 0) throw new RangeError(`expected keys to draw from at share ${share}, got none`);
  return {
    draw: (source) => keys[firstAbove(ends, source() * total)] as Key,
    episodes: (source) => (model.episodes === 0 ? [] : keys.filter(() => source() < model.episodes)),
  };
}

/** Counts of one arm in one window. */
class ArmTally {
  readonly plain = new ShapeTally();
  readonly stream = new ShapeTally();
  readonly byKey = new Map<number, [number, number]>();

  add(shape: 'plain' | 'stream', failed: boolean, bucket: number, keyBucket: number | null): void {
    this[shape].add(failed, bucket);
    if (keyBucket === null) return;
    const held = this.byKey.get(keyBucket) ?? [0, 0];
    this.byKey.set(keyBucket, [held[0] + 1, held[1] + Number(failed)]);
  }
}

class ShapeTally {
  attempts = 0;
  failures = 0;
  readonly values = new Map<number, number>();

  add(failed: boolean, bucket: number): void {
    this.attempts += 1;
    this.failures += Number(failed);
    this.values.set(bucket, (this.values.get(bucket) ?? 0) + 1);
  }

  histogram(): Histogram {
    return { zero: 0, buckets: [...this.values].sort((a, b) => a[0] - b[0]) };
  }
}

const LIVE: EvidenceKind = 'live';

function evidenceOf(tallies: Record<Side, ArmTally>, epoch: number): Evidence {
  const cells: EvidenceCell[] = [];
  for (const side of ['candidate', 'legacy'] as const) {
    for (const shape of ['plain', 'stream'] as const) {
      const tally = tallies[side][shape];
      if (tally.attempts === 0) continue;
      const cell = emptyCell({ side, kind: LIVE, shape, model: 'rehearsed' });
      cells.push({
        ...cell,
        attempts: tally.attempts,
        successes: tally.attempts - tally.failures,
        failures: tally.failures === 0 ? {} : { status_5xx: tally.failures },
        [shape === 'plain' ? 'totalMs' : 'firstTokenMs']: tally.histogram(),
      });
    }
  }
  return {
    epoch,
    cells,
    buckets: { legacy: bucketCounts(tallies.legacy), candidate: bucketCounts(tallies.candidate) },
    pooled: [],
  };
}

function bucketCounts(tally: ArmTally): BucketCounts['legacy'] {
  return [...tally.byKey]
    .sort((a, b) => a[0] - b[0])
    .map(([bucket, [requests, failures]]) => [bucket, requests, failures] as const);
}

/** Latencies of a log-normal shape, as a histogram to draw from: by median and p95, in milliseconds. */
export function latencyShape(medianMs: number, p95Ms: number): Histogram {
  if (!(medianMs > 0 && p95Ms > medianMs)) {
    throw new RangeError(`expected 0 < median < p95, got ${medianMs} and ${p95Ms} ms`);
  }
  const sigma = Math.log(p95Ms / medianMs) / 1.6448536269514722;
  const step = Math.log(GAMMA);
  const middle = Math.log(medianMs) / step;
  const reach = Math.ceil((4.5 * sigma) / step);
  const buckets: [number, number][] = [];
  for (let bucket = Math.ceil(middle) - reach; bucket <= middle + reach; bucket += 1) {
    const z = ((bucket - 0.5 - middle) * step) / sigma;
    const count = Math.round(1_000_000 * (step / sigma) * Math.exp(-z * z * 0.5) * 0.3989422804014327);
    if (count > 0) buckets.push([bucket, count]);
  }
  return { zero: 0, buckets };
}
