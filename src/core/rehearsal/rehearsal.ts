import type { BreachClass } from '../evidence/breach-classes';
import {
  type BucketCounts,
  type Evidence,
  type EvidenceCell,
  type EvidenceKind,
  emptyCell,
} from '../evidence/evidence';
import type { Arm } from '../routing/routing';
import { GAMMA, type Histogram, quantile } from '../statistics/histogram';

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
  /** The tokens of every answer, and so its cost, are multiplied by this; 1 when absent. */
  readonly lengthFactor?: number;
  /** Part of the requests that hang until their caller leaves; 0 when absent. */
  readonly hangs?: number;
  /** Part of the requests that take so many times as long as p95; none when absent. */
  readonly tail?: { readonly part: number; readonly factor: number };
  /** Part of the keys whose requests fail at a rate of their own; none when absent. */
  readonly failingKeys?: { readonly part: number; readonly failureRate: number };
  /** Part of the answers that break their contract, by class; none when absent. */
  readonly breaches?: Breaches;
  /** All of the above but the latency factor is done to requests of the first model only. */
  readonly firstModelOnly?: boolean;
}

/** Parts of the answers, 0 to 1 together. */
export type Breaches = Readonly<Partial<Record<BreachClass, number>>>;

/** What both providers go through in a window: a day, a weekend, an incident that they share. */
export interface Conditions {
  /** Every latency is multiplied by this. */
  readonly level: number;
  /** At least this part of the requests fails. */
  readonly failureRate: number;
  /** Requests are multiplied by this. */
  readonly volume: number;
  /** Part of the requests with long prompts, which take three times as long; none when absent. */
  readonly long?: number;
  /** Whether leases have lapsed: all requests go to legacy. */
  readonly lapsed?: boolean;
}

/** Nothing out of the ordinary. */
export const CALM: Conditions = { level: 1, failureRate: 0, volume: 1 };

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
  /** Part of the keys whose answers break their contract half of the time, such as those with a broken schema; 0 when absent. */
  readonly breakingKeys?: number;
  /** Each key has a latency level of its own: standard deviation of its logarithm; 0 when absent. */
  readonly levelSd?: number;
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
  /** What both go through in a window; calm when absent. */
  readonly conditions?: (window: number) => Conditions;
  readonly keys: KeyModel | null;
  /** Part of the failed requests that a client sends again at once, as often as they fail; none when absent. */
  readonly retried?: number;
  /** Models with as much traffic each, or the part of the requests of each; 1 when absent. */
  readonly models?: number | readonly number[];
}

/** Draws the evidence of windows 0, 1, 2 ... of one migration stage, as gateways would report it. */
export function* rehearse(model: TrafficModel, epoch: number, random: Random): Generator<Evidence, never> {
  const samplers = { plain: valueSampler(model.totalMs), stream: valueSampler(model.firstTokenMs) };
  const tails = { plain: quantileBucket(model.totalMs), stream: quantileBucket(model.firstTokenMs) };
  const keys = model.keys === null ? null : drawKeys(model.keys, model.share, random);
  const { models = 1, requestsPerWindow, retried = 0 } = model;
  const quantiles = new LegacyQuantiles();
  for (let window = 0; ; window += 1) {
    const behaviour = { legacy: model.legacy, candidate: model.candidate(window) };
    const { level, failureRate: shared, volume, long = 0, lapsed } = model.conditions?.(window) ?? CALM;
    const share = lapsed === true ? 0 : model.share;
    const storms = new Set(keys?.episodes(random));
    const tallies = { legacy: new ArmTally(), candidate: new ArmTally() };
    const due = typeof requestsPerWindow === 'number' ? requestsPerWindow : requestsPerWindow(window);
    let again: Key | null | undefined;
    for (let request = 0; request < Math.round(due * volume); request += 1) {
      const key = again === undefined ? (keys?.draw(random) ?? null) : again;
      const arm: Arm = (key === null ? random() : key.position) < share ? 'candidate' : 'legacy';
      const asked =
        typeof models === 'number'
          ? models === 1
            ? 0
            : Math.floor(random() * models)
          : partAt(models, random());
      const does = behaviour[arm];
      const applies = does.firstModelOnly !== true || asked === 0;
      const shape = random() < model.streamShare ? 'stream' : 'plain';
      const stratum = stratumNumber(shape, asked);
      const fate = fateOf(applies ? does : behaviour.legacy, key, random);
      const stormy = key !== null && storms.has(key);
      const failed = random() < (stormy ? 1 : Math.max(fate.failureRate, shared, key?.failureRate ?? 0));
      again = failed && retried > 0 && random() < retried ? key : undefined;
      const length = long > 0 && random() < long ? LONG_FACTOR : 1;
      const factor = fate.left ? HANG_FACTOR : does.latencyFactor * level * length * (key?.level ?? 1);
      const shift = Math.log(factor) / Math.log(GAMMA);
      const bucket = fate.inTail
        ? Math.round(tails[shape] + Math.log(does.tail?.factor ?? 1) / Math.log(GAMMA))
        : Math.round(samplers[shape](random) + shift);
      const breach = failed || fate.left ? null : breachOf(fate.breaches, key, random);
      tallies[arm].add({
        stratum,
        failed,
        left: fate.left,
        breach,
        bucket,
        key: key?.bucket ?? null,
      });
      if (key !== null && !fate.left) {
        tallies[arm].addSlow(key.bucket, quantiles.slownessOf(stratum, bucket));
      }
    }
    if (keys !== null) quantiles.learn(tallies.legacy);
    yield evidenceOf(tallies, epoch);
  }
}

/** Which of some parts of 1 a number from 0 to 1 falls into. */
function partAt(parts: readonly number[], value: number): number {
  let end = 0;
  const index = parts.findIndex((part) => {
    end += part;
    return value < end;
  });
  return index < 0 ? parts.length - 1 : index;
}

/** A caller leaves after so many times the usual answer. */
const HANG_FACTOR = 20;
/** A long prompt takes so many times the usual answer. */
const LONG_FACTOR = 3;

/** What becomes of one request, by what its provider does. */
function fateOf(
  { failureRate, hangs = 0, tail, failingKeys, breaches }: ArmBehaviour,
  key: Key | null,
  random: Random,
) {
  const fails = failingKeys !== undefined && key !== null && key.order < failingKeys.part;
  return {
    failureRate: fails ? Math.max(failureRate, failingKeys.failureRate) : failureRate,
    left: hangs > 0 && random() < hangs,
    inTail: tail !== undefined && random() < tail.part,
    breaches,
  };
}

const BREAKING_RATE = 0.5;

/** How an answer breaks its contract; null where it keeps it. Nothing is drawn where nothing breaks. */
function breachOf(breaches: Breaches | undefined, key: Key | null, random: Random): BreachClass | null {
  if (key?.breaks === true && random() < BREAKING_RATE) return 'json_schema';
  if (breaches === undefined) return null;
  let rest = random();
  for (const [name, part] of Object.entries(breaches) as [BreachClass, number][]) {
    rest -= part;
    if (rest < 0) return name;
  }
  return null;
}

function quantileBucket(histogram: Histogram): number {
  const value = quantile(histogram, 0.95) ?? 1;
  return Math.log(value) / Math.log(GAMMA);
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
  /** Every latency of its requests is multiplied by this. */
  readonly level: number;
  /** From 0 to 1, independent of all else: which keys a provider treats otherwise. */
  readonly order: number;
  /** Whether its answers break their contract half of the time. */
  readonly breaks: boolean;
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
      level: model.levelSd === undefined ? 1 : Math.exp(model.levelSd * drawNormal(random)),
      order: random(),
      breaks: model.breakingKeys !== undefined && random() < model.breakingKeys,
    });
  }
  if (keys.length === 0) throw new RangeError(`expected keys to draw from at share ${share}, got none`);
  return {
    draw: (source) => keys[firstAbove(ends, source() * total)] as Key,
    episodes: (source) => (model.episodes === 0 ? [] : keys.filter(() => source() < model.episodes)),
  };
}

/** A standard normal value (Box and Muller 1958). */
export function drawNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

type Slowness = 0 | 1 | 2;

/** Legacy's median and p95 by stratum, as a gateway has learnt them from the windows before. */
class LegacyQuantiles {
  readonly #seen = new Map<number, BucketTally>();
  readonly #bounds = new Map<number, readonly [median: number, p95: number]>();

  learn(legacy: ArmTally): void {
    for (const [number, stratum] of legacy.strata) {
      const seen = this.#seen.get(number) ?? new BucketTally();
      this.#seen.set(number, seen);
      for (const [bucket, count] of stratum.values) seen.add(bucket, count);
      this.#bounds.set(number, [seen.quantile(0.5), seen.quantile(0.95)]);
    }
  }

  slownessOf(stratum: number, bucket: number): Slowness {
    const bounds = this.#bounds.get(stratum);
    if (bounds === undefined || bucket <= bounds[0]) return 0;
    return bucket <= bounds[1] ? 1 : 2;
  }
}

/** Values by bucket, from less than a microsecond to years. */
class BucketTally {
  readonly #counts = new Float64Array(4 * MOST_BUCKETS);
  #total = 0;

  add(bucket: number, count: number): void {
    const at = bucket + MOST_BUCKETS;
    this.#counts[at] = (this.#counts[at] ?? 0) + count;
    this.#total += count;
  }

  /** The bucket in which the p-quantile lies, as `quantile` of a histogram has it. */
  quantile(p: number): number {
    const rank = Math.min(this.#total - 1, Math.floor(p * this.#total));
    let below = 0;
    for (let at = 0; at < this.#counts.length; at += 1) {
      below += this.#counts[at] ?? 0;
      if (rank < below) return at - MOST_BUCKETS;
    }
    return 0;
  }
}

const MOST_BUCKETS = 1_500;

type Shape = 'plain' | 'stream';

/** Of a shape of answers of a model: every request looks its stratum up, and by a number that is soonest. */
function stratumNumber(shape: Shape, model: number): number {
  return 2 * model + (shape === 'stream' ? 1 : 0);
}

interface SimulatedRequest {
  readonly stratum: number;
  readonly failed: boolean;
  readonly left: boolean;
  readonly breach: BreachClass | null;
  readonly bucket: number;
  readonly key: number | null;
}

/** Requests, failures, two of latencies, and checked answers and their breaches, as in `BucketCount`. */
type KeyCounts = [number, number, number, number, number, number];

/** Counts of one arm in one window. */
class ArmTally {
  readonly strata = new Map<number, StratumTally>();
  readonly byKey = new Map<number, KeyCounts>();

  add(counted: SimulatedRequest): void {
    const { failed, left, breach, key } = counted;
    let stratum = this.strata.get(counted.stratum);
    if (stratum === undefined) {
      stratum = new StratumTally(counted.stratum);
      this.strata.set(counted.stratum, stratum);
    }
    stratum.add(counted);
    if (key === null || left) return;
    const held = this.#keyOf(key);
    held[0] += 1;
    held[1] += Number(failed);
    held[4] += Number(!failed);
    held[5] += Number(breach !== null);
  }

  addSlow(key: number, slowness: Slowness): void {
    if (slowness === 0) return;
    const held = this.#keyOf(key);
    held[2] += 1;
    if (slowness === 2) held[3] += 1;
  }

  #keyOf(key: number): KeyCounts {
    const held = this.byKey.get(key) ?? [0, 0, 0, 0, 0, 0];
    this.byKey.set(key, held);
    return held;
  }
}

class StratumTally {
  attempts = 0;
  failures = 0;
  left = 0;
  readonly breaches: Partial<Record<BreachClass, number>> = {};
  readonly values = new Map<number, number>();

  readonly shape: Shape;
  readonly model: number;

  constructor(stratum: number) {
    this.shape = stratum % 2 === 0 ? 'plain' : 'stream';
    this.model = Math.floor(stratum / 2);
  }

  add({ failed, left, breach, bucket }: SimulatedRequest): void {
    this.attempts += 1;
    if (breach !== null) this.breaches[breach] = (this.breaches[breach] ?? 0) + 1;
    if (left) this.left += 1;
    else this.failures += Number(failed);
    this.values.set(bucket, (this.values.get(bucket) ?? 0) + 1);
  }

  histogram(): Histogram {
    return { zero: 0, buckets: [...this.values].sort((a, b) => a[0] - b[0]) };
  }
}

const LIVE: EvidenceKind = 'live';

function evidenceOf(tallies: Record<Arm, ArmTally>, epoch: number): Evidence {
  const cells: EvidenceCell[] = [];
  for (const arm of ['candidate', 'legacy'] as const) {
    const strata = [...tallies[arm].strata.values()];
    for (const tally of strata.sort((a, b) => a.shape.localeCompare(b.shape) || a.model - b.model)) {
      const { shape, attempts, failures, left, breaches } = tally;
      const successes = attempts - failures - left;
      const cell = emptyCell({ side: arm, kind: LIVE, shape, model: modelName(tally.model) });
      cells.push({
        ...cell,
        attempts,
        successes,
        failures: failures === 0 ? {} : { status_5xx: failures },
        aborted: left,
        answers: { checked: successes, unchecked: 0, breaches, ends: {} },
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

/** What a rehearsal calls its models. */
export function modelName(index: number): string {
  return index === 0 ? 'rehearsed' : `rehearsed-${index + 1}`;
}

function bucketCounts(tally: ArmTally): BucketCounts['legacy'] {
  return [...tally.byKey].sort((a, b) => a[0] - b[0]).map(([bucket, counts]) => [bucket, ...counts] as const);
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
