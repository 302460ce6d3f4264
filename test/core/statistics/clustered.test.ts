import type { BucketCounts } from '../../../src/core/evidence/evidence';
import { rehearse, seededRandom } from '../../../src/core/rehearsal/rehearsal';
import {
  appendWindow,
  type DetectorState,
  detect,
  NO_WINDOWS,
} from '../../../src/core/statistics/change-detector';
import {
  deflatedRates,
  deflatedSampleRatio,
  designEffect,
  mergeBucketCounts,
  splitDesignEffect,
} from '../../../src/core/statistics/design-effect';
import { ratioExceeds } from '../../../src/core/statistics/rate-ratio';
import { pValueOf, sampleRatioMismatch } from '../../../src/core/statistics/sample-ratio';
import { drawEvents, mostFalseDecisions } from '../../support/statistics-draws';

const ALPHA = 0.05;

describe('the design effect', () => {
  it('is near 1 for independent requests', () => {
    const random = seededRandom(1);
    const buckets = Array.from(
      { length: 256 },
      (_, bucket) => [bucket, 200, drawEvents(200, 0.05, random)] as const,
    );
    expect(designEffect(buckets)).toBeGreaterThanOrEqual(1);
    expect(designEffect(buckets)).toBeLessThan(1.3);
  });

  it('is the size of a cluster when keys fail as a whole', () => {
    const buckets = Array.from(
      { length: 250 },
      (_, bucket) => [bucket, 40, bucket % 25 === 0 ? 40 : 0] as const,
    );
    expect(designEffect(buckets)).toBeGreaterThan(38);
    expect(designEffect(buckets)).toBeLessThan(42);
  });

  it('recovers the intraclass correlation of beta-binomial clusters: 1 + (size - 1) rho', () => {
    const random = seededRandom(5);
    // Half of the keys never fail and half fail at 0.2: rho = variance of the key's rate / (r (1 - r)).
    const buckets = Array.from({ length: 20_000 }, (_, bucket) => {
      return [bucket, 30, drawEvents(30, random() < 0.5 ? 0 : 0.2, random)] as const;
    });
    const rho = (0.2 ** 2 * 0.25) / (0.1 * 0.9);
    expect(designEffect(buckets)).toBeCloseTo(1 + 29 * rho, 0);
  });

  it("counts everything as one observation when all requests may be one key's", () => {
    expect(designEffect([[7, 90, 12]])).toBe(90);
    expect(designEffect([])).toBe(1);
    expect(
      designEffect([
        [1, 5, 0],
        [2, 9, 0],
      ]),
    ).toBe(1);
  });

  it('sees a key that bears most of an arm and fails unlike the others, which residuals alone do not', () => {
    const random = seededRandom(9);
    // One key with nine tenths of the requests fails at 6%; the others, at 1% to 3%, say that keys differ little.
    const light = Array.from({ length: 60 }, (_, bucket) => {
      return [bucket, 20, drawEvents(20, 0.01 + 0.02 * random(), random)] as const;
    });
    const buckets = [...light, [60, 10_800, 648] as const];
    expect(residualDesignEffect(buckets)).toBeLessThan(5);
    // Without the heavy key the rate is a third: what is known is worth no more than a few keys.
    expect(designEffect(buckets)).toBeGreaterThan(50);
  });

  it('does not depend on the order in which buckets are merged', () => {
    const a: BucketCounts = {
      legacy: [
        [1, 5, 1],
        [9, 2, 0],
      ],
      candidate: [[3, 1, 1]],
    };
    const b: BucketCounts = {
      legacy: [
        [2, 4, 0],
        [9, 3, 2],
      ],
      candidate: [
        [0, 2, 0],
        [3, 6, 0],
      ],
    };
    expect(mergeBucketCounts(a, b)).toEqual(mergeBucketCounts(b, a));
    expect(mergeBucketCounts(a, b).legacy).toEqual([
      [1, 5, 1],
      [2, 4, 0],
      [9, 5, 2],
    ]);
  });
});

/** The wrong formula: a bucket's distance from the rate that it has made itself. */
function residualDesignEffect(buckets: BucketCounts['legacy']): number {
  const requests = buckets.reduce((sum, [, n]) => sum + n, 0);
  const rate = buckets.reduce((sum, [, , e]) => sum + e, 0) / requests;
  const squares = buckets.reduce((sum, [, n, e]) => sum + (e - rate * n) ** 2, 0);
  return ((buckets.length / (buckets.length - 1)) * squares) / (requests * rate * (1 - rate));
}

describe('sticky keys with clustered errors', () => {
  it('raise false alarms at most at alpha when deflated, and many more when not', () => {
    const share = 0.3;
    const judge = ratioExceeds(1.5, share);
    const runs = 60;
    const found = { deflated: 0, undeflated: 0 };
    for (let run = 0; run < runs; run += 1) {
      const windows = clusteredWindows(share, run);
      let state: DetectorState<BucketCounts> = NO_WINDOWS;
      const alarms = { deflated: false, undeflated: false };
      for (let window = 0; window < 25; window += 1) {
        state = appendWindow(state, windows.next().value.buckets, mergeBucketCounts);
        const raw = detect(state, mergeBucketCounts, (buckets) => {
          const [candidate, legacy] = [failures(buckets.candidate), failures(buckets.legacy)];
          return judge(candidate, candidate + legacy);
        });
        const deflated = detect(state, mergeBucketCounts, (buckets) => {
          const { candidate, legacy } = deflatedRates(buckets);
          return judge(candidate.events, candidate.events + legacy.events);
        });
        alarms.undeflated ||= raw >= -Math.log(ALPHA);
        alarms.deflated ||= deflated >= -Math.log(ALPHA);
      }
      found.deflated += Number(alarms.deflated);
      found.undeflated += Number(alarms.undeflated);
    }
    expect(found.deflated).toBeLessThanOrEqual(mostFalseDecisions(runs, ALPHA));
    expect(found.undeflated).toBeGreaterThan(mostFalseDecisions(runs, ALPHA));
  });
});

describe('the sample ratio', () => {
  const judge = sampleRatioMismatch(0.1);

  it('accepts the share that was asked for and finds one that was not applied', () => {
    expect(pValueOf(judge(1_000, 10_000))).toBe(1);
    expect(pValueOf(judge(800, 10_000))).toBeLessThan(0.001);
    expect(pValueOf(judge(1_200, 10_000))).toBeLessThan(0.001);
    expect(pValueOf(judge(0, 0))).toBe(1);
  });

  it('is wrong at most at its alpha however often it is looked at', () => {
    let rejected = 0;
    for (let run = 0; run < 300; run += 1) {
      const random = seededRandom(run);
      let candidate = 0;
      for (let requests = 50; requests <= 10_000; requests += 50) {
        candidate += drawEvents(50, 0.1, random);
        if (pValueOf(judge(candidate, requests)) > ALPHA) continue;
        rejected += 1;
        break;
      }
    }
    expect(rejected).toBeLessThanOrEqual(mostFalseDecisions(300, ALPHA));
  });

  it('is not fooled by a few heavy keys when deflated', () => {
    let [naive, deflated] = [0, 0];
    for (let run = 0; run < 60; run += 1) {
      const windows = clusteredWindows(0.3, run);
      let buckets: BucketCounts = { legacy: [], candidate: [] };
      for (let window = 0; window < 10; window += 1)
        buckets = mergeBucketCounts(buckets, windows.next().value.buckets);
      naive += Number(isMismatch(buckets, 0.3, 1, ALPHA));
      deflated += Number(isMismatch(buckets, 0.3, splitDesignEffect(buckets, 256), ALPHA));
    }
    expect(naive).toBeGreaterThan(mostFalseDecisions(60, ALPHA));
    expect(deflated).toBeLessThanOrEqual(mostFalseDecisions(60, ALPHA));
  });

  it('does not take an arm of light keys for a certain one', () => {
    const alpha = 0.001;
    let [deflated, byArm] = [0, 0];
    for (let run = 1; run <= 1_000; run += 1) {
      const buckets = splitKeys(0.95, seededRandom(run));
      deflated += Number(isMismatch(buckets, 0.95, splitDesignEffect(buckets, BUCKETS), alpha));
      byArm += Number(isMismatch(buckets, 0.95, effectByArm(buckets), alpha));
    }
    expect(byArm).toBeGreaterThan(mostFalseDecisions(1_000, alpha));
    expect(deflated).toBeLessThanOrEqual(mostFalseDecisions(1_000, alpha));
  });

  it('still finds a share that was not applied to many keys', () => {
    const buckets = splitKeys(0.9, seededRandom(1), { keys: 20_000, skew: 0 });
    const effect = splitDesignEffect(buckets, BUCKETS);
    expect(isMismatch(buckets, 0.95, effect, 0.001)).toBe(true);
    expect(isMismatch(buckets, 0.9, effect, 0.001)).toBe(false);
  });

  it('counts the requests of one key as one, and those of no key as no reason to divide', () => {
    expect(splitDesignEffect({ legacy: [], candidate: [[7, 400, 0]] }, BUCKETS)).toBeCloseTo(400, 9);
    expect(splitDesignEffect({ legacy: [], candidate: [] }, BUCKETS)).toBe(1);
  });
});

const BUCKETS = 64;

function isMismatch({ legacy, candidate }: BucketCounts, share: number, effect: number, alpha: number) {
  const [stayed, moved] = [requests(legacy), requests(candidate)];
  const logEvidence = sampleRatioMismatch(share)(moved / effect, (stayed + moved) / effect);
  return pValueOf(logEvidence) <= alpha;
}

/** 20,000 requests of keys whose traffic falls as 1 / rank^skew, each of one arm. */
function splitKeys(share: number, random: () => number, { keys = 500, skew = 1 } = {}): BucketCounts {
  const weights = Array.from({ length: keys }, (_, rank) => 1 / (rank + 1) ** skew);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const arms = { legacy: new Array<number>(BUCKETS).fill(0), candidate: new Array<number>(BUCKETS).fill(0) };
  for (const weight of weights) {
    const arm = random() < share ? arms.candidate : arms.legacy;
    const bucket = Math.floor(random() * BUCKETS);
    arm[bucket] = (arm[bucket] ?? 0) + Math.round((20_000 * weight) / total);
  }
  const filled = (sums: readonly number[]) =>
    sums.map((count, bucket) => [bucket, count, 0] as const).filter(([, count]) => count > 0);
  return { legacy: filled(arms.legacy), candidate: filled(arms.candidate) };
}

/** A wrong formula here: how the candidate's requests vary around the share that it happened to get. */
function effectByArm(buckets: BucketCounts): number {
  return (requests(buckets.legacy) + requests(buckets.candidate)) / deflatedSampleRatio(buckets).trials;
}

function clusteredWindows(share: number, seed: number) {
  const behaviour = { failureRate: 0.003, latencyFactor: 1 };
  const model = {
    share,
    requestsPerWindow: 300,
    streamShare: 0,
    totalMs: { zero: 0, buckets: [[1, 1]] as const },
    firstTokenMs: { zero: 0, buckets: [[1, 1]] as const },
    legacy: behaviour,
    candidate: () => behaviour,
    keys: { keys: 200, skew: 1.1, failingKeys: 0.04, failingRate: 0.4, episodes: 0.003 },
  };
  return rehearse(model, 1, seededRandom(seed));
}

function failures(arm: BucketCounts['legacy']): number {
  return arm.reduce((sum, [, , events]) => sum + events, 0);
}

function requests(arm: BucketCounts['legacy']): number {
  return arm.reduce((sum, [, count]) => sum + count, 0);
}
