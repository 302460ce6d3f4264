import {
  type Evidence,
  type EvidenceCell,
  failureCount,
  mergeEvidence,
  noEvidence,
  sumCells,
} from '../src/core/evidence/evidence';
import { noStageEvidence, type StageEvidence } from '../src/core/evidence/stage/stage-evidence';
import { withOutcomes } from '../src/core/evidence/stage/stage-outcomes';
import { judgedSpending, withSpending } from '../src/core/evidence/stage/stage-spending';
import { withWindow } from '../src/core/evidence/stage/stage-window';
import { orderWeight, TOGETHER_WEIGHT } from '../src/core/gates/alpha-spending';
import { judgeStage } from '../src/core/gates/judge-stage';
import { guardrailAlpha } from '../src/core/gates/stage-rates';
import type { GateVerdict } from '../src/core/gates/verdict';
import type { Plan, StagePlan } from '../src/core/plan/plan';
import { planSchema } from '../src/core/plan/plan-schema';
import { drawnSpending } from '../src/core/rehearsal/drawn-spending';
import {
  type ArmBehaviour,
  type Breaches,
  type KeyModel,
  latencyShape,
  type Random,
  rehearse,
  seededRandom,
  type TrafficModel,
} from '../src/core/rehearsal/rehearsal';
import type { Arm } from '../src/core/routing/routing';
import { rateAbove } from '../src/core/statistics/beta-binomial';
import {
  addCounts,
  appendWindow,
  type DetectorState,
  detect,
  detectRate,
  NO_WINDOWS,
  type RateCounts,
} from '../src/core/statistics/change-detector';
import { deflatedRates, mergeBucketCounts } from '../src/core/statistics/design-effect';
import { EMPTY_HISTOGRAM, type Histogram, mergeHistograms } from '../src/core/statistics/histogram';
import {
  type ArmSamples,
  detectQuantileExceeds,
  quantileWithin,
} from '../src/core/statistics/quantile-ratio';
import { differenceWithin, type TwoRates } from '../src/core/statistics/rate-difference';
import { ratioExceeds } from '../src/core/statistics/rate-ratio';
import { OutcomeTally } from '../src/gateway/outcomes/outcome-tally';
import { drawEvents, drawLatencies } from '../test/support/statistics-draws';
import { readOptions, runBench } from './bench-program';
import { exceedsFixedThreshold, mannWhitneyZ } from './naive-gates';

/**
 * Simulates the gates against the goals of docs/statistics.md and prints what was found. Seeded: the same runs
 * give the same numbers.
 */
function main(): void {
  const { runs, only } = readOptions('gate-validity', 'Simulates the gates against their goals.', {
    runs: ['runs of the longest simulation; the others scale with it', 2_000],
    only: ['what the names of the simulations begin with', ''],
  });
  for (const [name, simulate] of Object.entries(SIMULATIONS)) {
    if (!name.startsWith(only)) continue;
    const started = process.hrtime.bigint();
    for (const line of simulate(runs)) process.stdout.write(`${name.padEnd(22)} ${line}\n`);
    const seconds = Number(process.hrtime.bigint() - started) / 1e9;
    process.stdout.write(`${name.padEnd(22)} (${seconds.toFixed(0)} s)\n`);
  }
}

type Simulation = (runs: number) => Iterable<string>;

/** What the default plan spends on its first stage that moves traffic (docs/statistics.md, "What divides alpha"). */
const FIRST_STAGE = firstSplit(planSchema.parse({ route: 'rehearsed' }));
const LATENCIES = 3;
const ALPHA = {
  errors: guardrailAlpha(FIRST_STAGE, 'errors'),
  floor: guardrailAlpha(FIRST_STAGE, 'floor'),
  latency: guardrailAlpha(FIRST_STAGE, 'latency', (1 - TOGETHER_WEIGHT) * orderWeight(0, LATENCIES)),
};
const PROMOTION_ALPHA = FIRST_STAGE.alpha.promotion;

function firstSplit({ stages }: Plan): StagePlan {
  const stage = stages.find(({ share }) => share > 0);
  if (stage === undefined) throw new Error('expected a stage that moves traffic');
  return stage;
}

const SIMULATIONS: Readonly<Record<string, Simulation>> = {
  'a/a': (runs) => sameBehaviour(runs),
  'margin rollback': (runs) => [
    ...errorsAtMargin(runs, 0.1),
    ...errorsAtMargin(runs, 0.5),
    ...p95AtMargin(Math.ceil(runs / 4)),
  ],
  'margin promotion': (runs) => [
    ...promotedAtMargin(runs, 0.002, 0.5, 0.01),
    ...promotedAtMargin(runs, 0.01, 0.1, 0.02),
    ...p95PromotedAtMargin(Math.ceil(runs / 4)),
  ],
  'equal promoted': (runs) => [
    ...equalPromoted(Math.ceil(runs / 4), 0, 0.5, 0.01),
    ...equalPromoted(Math.ceil(runs / 4), 0.002, 0.5, 0.01),
    ...equalPromoted(Math.ceil(runs / 4), 0.01, 0.5, 0.01),
    ...equalPromoted(Math.ceil(runs / 4), 0.002, 0.1, 0.02),
    ...equalP95Promoted(Math.ceil(runs / 20)),
  ],
  'errors 1% to 5%': (runs) => [
    ...errorsRise(runs, 0, 100, ALPHA.errors),
    ...errorsRise(runs, 0, 1_000, ALPHA.errors),
    ...errorsRise(runs, 0, 100, 2 * ALPHA.errors),
    ...errorsRise(Math.ceil(runs / 4), 200_000, 500, ALPHA.errors),
    ...errorsRise(Math.ceil(runs / 4), 200_000, 1_000, ALPHA.errors),
    ...errorsRise(Math.ceil(runs / 4), 200_000, 1_000, 2 * ALPHA.errors),
  ],
  'p95 doubled': (runs) =>
    [0.4, 0.5, 0.6, 0.8].flatMap((sigma) => [...p95Doubles(Math.ceil(runs / 10), sigma)]),
  'whole gate: errors': (runs) => wholeGate('errors 1% to 5%', Math.ceil(runs / 20)),
  'whole gate: p95': (runs) => wholeGate('p95 doubled', Math.ceil(runs / 10)),
  'whole gate: late': (runs) => wholeGate('errors 1% to 5% after 200,000', Math.ceil(runs / 100)),
  'answers from the start': (runs) =>
    ANSWER_HARMS.flatMap((name) => [...wholeGate(name, Math.ceil(runs / 10), [1])]),
  'answers late': (runs) =>
    ANSWER_HARMS.flatMap((name) => [...wholeGate(`${name} after 200,000`, Math.ceil(runs / 40), [1])]),
  'answers of one model': (runs) => wholeGate('arguments 1% to 10% in one', Math.ceil(runs / 20), [5]),
  'equal answers': (runs) => equalAnswers(runs),
  'every gate, equal': (runs) => equalAnswers(runs, EVERY_GATE),
  'sticky keys': (runs) => stickyKeys(Math.ceil(runs / 2)),
};

/** Its first stage that moves traffic with every gate that a plan can ask for. */
const EVERY_GATE = firstSplit(
  planSchema.parse({
    route: 'rehearsed',
    outcomes: [{ name: 'solved' }],
    stages: [
      { name: 'assess' },
      { name: 'canary', gates: { cost: {}, outputTokens: {} } },
      { name: 'rolling' },
      { name: 'complete' },
    ],
  }),
);

/** Everything a stage's guardrails have seen. */
interface Watch {
  readonly errors: DetectorState<RateCounts>;
  readonly floor: DetectorState<RateCounts>;
  readonly total: DetectorState<ArmSamples>;
  readonly firstToken: DetectorState<ArmSamples>;
}

const NOTHING_SEEN: Watch = {
  errors: NO_WINDOWS,
  floor: NO_WINDOWS,
  total: NO_WINDOWS,
  firstToken: NO_WINDOWS,
};

function watched(watch: Watch, evidence: Evidence): Watch {
  const { legacy, candidate } = ratesOf(evidence);
  return {
    errors: appendWindow(
      watch.errors,
      { successes: candidate.events, trials: candidate.events + legacy.events },
      addCounts,
    ),
    floor: appendWindow(watch.floor, { successes: candidate.events, trials: candidate.requests }, addCounts),
    total: appendWindow(watch.total, samplesOf(evidence, 'totalMs'), addSamples),
    firstToken: appendWindow(watch.firstToken, samplesOf(evidence, 'firstTokenMs'), addSamples),
  };
}

const P95_HARM = { p: 0.95, margin: 0.5, share: 0.1 };

/** The guardrail that asks for a rollback, or null. */
function harmIn(watch: Watch, share: number): string | null {
  if (detectRate(watch.errors, ratioExceeds(1.5, share)) >= -Math.log(ALPHA.errors)) return 'errors';
  const belowFloor = rateAbove(0.03, { mean: 0.06, strength: 50 });
  if (detectRate(watch.floor, belowFloor) >= -Math.log(ALPHA.floor)) return 'floor';
  for (const name of ['total', 'firstToken'] as const) {
    if (detectQuantileExceeds(P95_HARM, watch[name]) >= -Math.log(ALPHA.latency)) return `p95 ${name}`;
  }
  return null;
}

function* sameBehaviour(runs: number): Iterable<string> {
  const [windows, requestsPerWindow, share] = [200, 400, 0.1];
  const model: TrafficModel = {
    share,
    requestsPerWindow,
    streamShare: 0.5,
    totalMs: latencyShape(2_000, 8_000),
    firstTokenMs: latencyShape(400, 1_000),
    legacy: { failureRate: 0.01, latencyFactor: 1 },
    candidate: () => ({ failureRate: 0.01, latencyFactor: 1 }),
    keys: null,
  };
  const found = { ours: 0, mannWhitney: 0, threshold: 0 };
  for (let run = 0; run < runs; run += 1) {
    const alarms = { ours: false, mannWhitney: false, threshold: false };
    let watch = NOTHING_SEEN;
    let samples: ArmSamples = NO_SAMPLES;
    let rates: TwoRates = NO_RATES;
    for (const evidence of take(rehearse(model, 1, seededRandom(run)), windows)) {
      watch = watched(watch, evidence);
      samples = addSamples(samples, samplesOf(evidence, 'totalMs'));
      rates = addRates(rates, ratesOf(evidence));
      alarms.ours ||= harmIn(watch, share) !== null;
      alarms.mannWhitney ||= mannWhitneyZ(samples) > 1.645;
      alarms.threshold ||= rates.candidate.requests >= 100 && exceedsFixedThreshold(rates, 1.5);
    }
    for (const name of ['ours', 'mannWhitney', 'threshold'] as const) found[name] += Number(alarms[name]);
  }
  const setting = `${windows} windows of ${requestsPerWindow}, share ${share}, errors 1%, ${runs} runs`;
  yield `${setting}: false rollback ${percent(found.ours, runs)} (goal 1%)`;
  yield `${setting}: Mann-Whitney at 5% each window ${percent(found.mannWhitney, runs)}`;
  yield `${setting}: errors over 1.5 x legacy after 100 requests ${percent(found.threshold, runs)}`;
}

function* errorsAtMargin(runs: number, share: number): Iterable<string> {
  let found = 0;
  const judge = ratioExceeds(1.5, share);
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let state: DetectorState<RateCounts> = NO_WINDOWS;
    for (let window = 0; window < 200; window += 1) {
      state = appendWindow(state, drawErrors(1_000, share, 0.01, 0.015, random), addCounts);
      if (detectRate(state, judge) < -Math.log(ALPHA.errors)) continue;
      found += 1;
      break;
    }
  }
  yield `errors 1% and 1.5%, share ${share}, 200 windows of 1,000, ${runs} runs: ${percent(found, runs)} (alpha ${percentOf(ALPHA.errors)})`;
}

function* p95AtMargin(runs: number): Iterable<string> {
  let found = 0;
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let state: DetectorState<ArmSamples> = NO_WINDOWS;
    for (let window = 0; window < 100; window += 1) {
      state = appendWindow(state, drawSamples(500, 0.1, 1.5, 0.6, random), addSamples);
      if (detectQuantileExceeds(P95_HARM, state) < -Math.log(0.05)) continue;
      found += 1;
      break;
    }
  }
  yield `p95 +50%, share 0.1, 100 windows of 500, ${runs} runs, judged at alpha 5%: ${percent(found, runs)}`;
}

function* promotedAtMargin(runs: number, base: number, share: number, margin: number): Iterable<string> {
  let found = 0;
  const judge = differenceWithin(margin);
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let rates = NO_RATES;
    for (let window = 0; window < 60; window += 1) {
      rates = addRates(rates, drawRates(250, share, base, base + margin, random));
      if (judge(rates) < -Math.log(PROMOTION_ALPHA)) continue;
      found += 1;
      break;
    }
  }
  yield `errors ${base} and ${base + margin}, margin ${margin}, share ${share}, 60 looks, ${runs} runs: ${percent(found, runs)} (alpha ${percentOf(PROMOTION_ALPHA)})`;
}

function* p95PromotedAtMargin(runs: number): Iterable<string> {
  let found = 0;
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let samples = NO_SAMPLES;
    for (let window = 0; window < 60; window += 1) {
      samples = addSamples(samples, drawSamples(200, 0.5, 1.2, 0.6, random));
      if (quantileWithin({ p: 0.95, margin: 0.2 }, samples) < -Math.log(PROMOTION_ALPHA)) continue;
      found += 1;
      break;
    }
  }
  yield `p95 +20%, margin 20%, share 0.5, 60 looks, ${runs} runs: ${percent(found, runs)} (alpha ${percentOf(PROMOTION_ALPHA)})`;
}

function* equalPromoted(runs: number, rate: number, share: number, margin: number): Iterable<string> {
  const judge = differenceWithin(margin);
  const needed: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let rates = NO_RATES;
    let requests = 0;
    while (requests < 100_000) {
      rates = addRates(rates, drawRates(100, share, rate, rate, random));
      requests += 100;
      if (judge(rates) >= -Math.log(PROMOTION_ALPHA)) break;
    }
    needed.push(requests);
  }
  const within = needed.filter((requests) => requests <= 3_000).length;
  yield `errors ${rate}, margin ${margin}, share ${share}, ${runs} runs: requests of both arms ${spread(needed)}, within 3,000: ${percent(within, runs)}`;
}

function* equalP95Promoted(runs: number): Iterable<string> {
  const needed: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let samples = NO_SAMPLES;
    let requests = 0;
    while (requests < 100_000) {
      samples = addSamples(samples, drawSamples(200, 0.5, 1, 0.6, random));
      requests += 200;
      if (quantileWithin({ p: 0.95, margin: 0.2 }, samples) >= -Math.log(PROMOTION_ALPHA)) break;
    }
    needed.push(requests);
  }
  yield `p95 equal, margin 20%, share 0.5, sigma 0.6, ${runs} runs: requests of both arms ${spread(needed)}`;
}

function* errorsRise(
  runs: number,
  parity: number,
  requestsPerWindow: number,
  alpha: number,
): Iterable<string> {
  const share = 0.1;
  const judge = ratioExceeds(1.5, share);
  const needed: number[] = [];
  let early = 0;
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let state: DetectorState<RateCounts> = NO_WINDOWS;
    for (let window = 0; window < parity / requestsPerWindow; window += 1) {
      state = appendWindow(state, drawErrors(requestsPerWindow, share, 0.01, 0.01, random), addCounts);
      if (detectRate(state, judge) >= -Math.log(alpha)) early += 1;
    }
    let requests = 0;
    do {
      state = appendWindow(state, drawErrors(requestsPerWindow, share, 0.01, 0.05, random), addCounts);
      requests += requestsPerWindow * share;
    } while (detectRate(state, judge) < -Math.log(alpha));
    needed.push(requests);
  }
  yield `after ${parity} requests of parity, windows of ${requestsPerWindow}, alpha ${alpha}, ${runs} runs: candidate requests ${spread(needed)}; alarms before ${early}`;
}

function* p95Doubles(runs: number, sigma: number): Iterable<string> {
  const needed: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    const random = seededRandom(run);
    let state: DetectorState<ArmSamples> = NO_WINDOWS;
    let requests = 0;
    do {
      state = appendWindow(state, drawSamples(200, 0.1, 2, sigma, random), addSamples);
      requests += 20;
    } while (requests < 5_000 && detectQuantileExceeds(P95_HARM, state) < -Math.log(ALPHA.latency));
    needed.push(requests);
  }
  const ratio = Math.exp(1.645 * sigma);
  yield `margin 50%, share 0.1, p95 ${ratio.toFixed(1)} x p50, alpha ${ALPHA.latency}, ${runs} runs: candidate requests ${spread(needed)}`;
}

/**
 * How soon the default canary rolls back, by evidence and verdict as a watch has them: judged every 100 requests within
 * windows of 1,000.
 */
function* wholeGate(
  name: keyof typeof HARMS,
  runs: number,
  modelCounts: readonly number[] = [1, 5],
): Iterable<string> {
  const [WINDOW, LOOK] = [1_000, 100];
  const stage = FIRST_STAGE;
  const { parity, harm, legacy = {} }: Harm = HARMS[name];
  for (const models of modelCounts) {
    const needed: number[] = [];
    const metrics = new Set<string>();
    for (let run = 0; run < runs; run += 1) {
      const same = { failureRate: 0.01, latencyFactor: 1, ...legacy };
      const drawn = rehearse(
        {
          share: stage.share,
          requestsPerWindow: LOOK,
          streamShare: 0.5,
          totalMs: latencyShape(2_000, 6_000),
          firstTokenMs: latencyShape(400, 1_000),
          legacy: same,
          candidate: (look) => (look * LOOK < parity ? same : harm),
          keys: null,
          models,
        },
        EPOCH,
        seededRandom(run),
      );
      const kind = { burnIn: false, shareApplied: true, share: stage.share };
      let [held, window] = [noStageEvidence(EPOCH), noEvidence(EPOCH)];
      let moved = 0;
      for (let look = 0; moved < 20_000; look += 1) {
        const { value: evidence } = drawn.next();
        window = mergeEvidence([window, evidence], EPOCH);
        const harms = look * LOOK >= parity;
        if (harms) moved += arm(evidence, 'candidate')?.attempts ?? 0;
        const ends = (look + 1) % (WINDOW / LOOK) === 0;
        if (!harms && !ends) continue;
        const seen = withWindow(held, window, kind);
        const verdict = verdictOf(stage, seen);
        if (verdict.harm !== null) {
          metrics.add(verdict.harm);
          break;
        }
        if (ends) [held, window] = [seen, noEvidence(EPOCH)];
      }
      needed.push(moved);
    }
    yield `${name}, ${models} model(s), ${runs} runs: candidate requests ${spread(needed)}; by ${[...metrics].join(', ')}`;
  }
}

function verdictOf(stage: StagePlan, evidence: StageEvidence): GateVerdict {
  const well = { probes: 20, failures: 0, passedInARow: 20, failedInARow: 0, meanMs: null };
  return judgeStage(stage, EPOCH, {
    evidence,
    windowRequests: { legacy: 0, candidate: 0 },
    probes: { legacy: well, candidate: well },
    burnIn: false,
    silent: [],
    baseline: null,
    foresees: false,
  });
}

/**
 * An equal candidate under every gate of the default canary, on five models and 500 sticky keys of which a few send half
 * of all, have failures and broken answers together, or have latencies of their own.
 */
function* equalAnswers(runs: number, stage = FIRST_STAGE): Iterable<string> {
  const [windows, requestsPerWindow] = [200, 400];
  const same = {
    failureRate: 0.005,
    latencyFactor: 1,
    breaches: { cut: 0.02, json_schema: 0.005, empty: 0.002 },
  };
  const found = new Map<string, number>();
  let paused = 0;
  const step = Math.max(1, Math.ceil(runs / 20));
  for (let run = 0; run < runs; run += 1) {
    const drawn = rehearse(
      {
        ...{ share: stage.share, requestsPerWindow, streamShare: 0.5, models: 5 },
        totalMs: latencyShape(2_000, 6_000),
        firstTokenMs: latencyShape(400, 1_000),
        legacy: same,
        candidate: () => same,
        keys: {
          ...{ keys: 500, skew: 1, failingKeys: 0.02, failingRate: 0.5, episodes: 0.002 },
          ...{ breakingKeys: 0.02, levelSd: 0.5 },
        },
      },
      EPOCH,
      seededRandom(run),
    );
    const random = seededRandom(-1 - run);
    let held = noStageEvidence(EPOCH);
    let pauses = false;
    for (let window = 0; window < windows; window += 1) {
      const kind = { burnIn: false, shareApplied: true, share: stage.share };
      const seen = drawn.next().value;
      held = { ...withWindow(held, seen, kind), ...furtherGates(stage, held, seen, same, random) };
      const { harm, pause } = verdictOf(stage, held);
      pauses ||= pause !== null;
      if (harm === null) continue;
      found.set(harm, (found.get(harm) ?? 0) + 1);
      break;
    }
    paused += Number(pauses);
    if ((run + 1) % step !== 0 && run + 1 < runs) continue;
    const all = [...found.values()].reduce((sum, count) => sum + count, 0);
    const by = [...found].map(([metric, count]) => `${count} by ${metric}`).join(', ');
    yield `equal answers, ${windows} windows of ${requestsPerWindow}, ${run + 1} runs: false rollback ${all} (goal ${100 * (stage.alpha.rollback + (stage.alpha.outcomes ?? 0) + (stage.alpha.spending ?? 0))}%)${by === '' ? '' : `, ${by}`}; uneven splits of keys ${paused}`;
  }
}

const OUTCOMES_REPORTED = 0.1;

/** What gates on cost, lengths and outcomes see of a window in which both arms do the same. */
function furtherGates(
  stage: StagePlan,
  { spending, outcomes }: StageEvidence,
  seen: Evidence,
  does: ArmBehaviour,
  random: Random,
): Pick<StageEvidence, 'spending' | 'outcomes'> {
  const [names, measures] = [(stage.outcomes ?? []).map(({ name }) => name), judgedSpending(stage)];
  const tally = new OutcomeTally();
  for (const name of ['legacy', 'candidate'] as const) {
    const requests = names.length === 0 ? 0 : (arm(seen, name)?.attempts ?? 0);
    for (let request = 0; request < requests; request += 1) {
      if (random() >= OUTCOMES_REPORTED) continue;
      const bucket = Math.floor(random() * 64);
      tally.add({ epoch: EPOCH, side: name, bucket, name: 'solved', value: random() < 0.7, request: null });
    }
  }
  return {
    ...(names.length === 0
      ? {}
      : { outcomes: withOutcomes(outcomes, tally.since(new OutcomeTally()), names) }),
    ...(measures.length === 0
      ? {}
      : {
          spending: withSpending(
            spending,
            drawnSpending(seen, { legacy: does, candidate: does }, random),
            measures,
          ),
        }),
  };
}

interface Harm {
  readonly parity: number;
  readonly harm: ArmBehaviour;
  /** What legacy does besides, and the candidate before. */
  readonly legacy?: Partial<ArmBehaviour>;
}

const ANSWER_HARMS = ['arguments 1% to 6%', 'empty 0.2% to 4%', 'cut 2% to 12%'] as const;

function broken(before: Breaches, after: Breaches, parity = 0, more: Partial<ArmBehaviour> = {}): Harm {
  const harm = { failureRate: 0.01, latencyFactor: 1, breaches: after, ...more };
  return { parity, harm, legacy: { breaches: before } };
}

const LATE = 200_000;

const HARMS = {
  'arguments 1% to 6%': broken({ tool_schema: 0.01 }, { tool_schema: 0.06 }),
  'empty 0.2% to 4%': broken({ empty: 0.002 }, { empty: 0.04 }),
  'cut 2% to 12%': broken({ cut: 0.02 }, { cut: 0.12 }),
  'arguments 1% to 6% after 200,000': broken({ tool_schema: 0.01 }, { tool_schema: 0.06 }, LATE),
  'empty 0.2% to 4% after 200,000': broken({ empty: 0.002 }, { empty: 0.04 }, LATE),
  'cut 2% to 12% after 200,000': broken({ cut: 0.02 }, { cut: 0.12 }, LATE),
  'arguments 1% to 10% in one': broken({ tool_schema: 0.01 }, { tool_schema: 0.1 }, 0, {
    firstModelOnly: true,
  }),
  'errors 1% to 5%': { parity: 0, harm: { failureRate: 0.05, latencyFactor: 1 } },
  'p95 doubled': { parity: 0, harm: { failureRate: 0.01, latencyFactor: 2 } },
  'errors 1% to 5% after 200,000': { parity: 200_000, harm: { failureRate: 0.05, latencyFactor: 1 } },
} as const;

const EPOCH = 1;

const CLUSTERS: Readonly<Record<string, KeyModel>> = {
  '500 keys, 2% fail half the time': {
    keys: 500,
    skew: 0.8,
    failingKeys: 0.02,
    failingRate: 0.5,
    episodes: 0,
  },
  '500 keys, storms': { keys: 500, skew: 0.8, failingKeys: 0, failingRate: 0, episodes: 0.002 },
  '200 keys, none above 5%, both': {
    keys: 200,
    skew: 0.55,
    failingKeys: 0.03,
    failingRate: 0.3,
    episodes: 0.004,
  },
  '200 keys, one of 23%, both': {
    keys: 200,
    skew: 1.1,
    failingKeys: 0.03,
    failingRate: 0.3,
    episodes: 0.004,
  },
};

function* stickyKeys(runs: number): Iterable<string> {
  for (const [name, keys] of Object.entries(CLUSTERS)) {
    for (const share of [0.1, 0.5]) {
      const judge = ratioExceeds(1.5, share);
      const found = { deflated: 0, requests: 0 };
      for (let run = 0; run < runs; run += 1) {
        const model: TrafficModel = {
          share,
          requestsPerWindow: 400,
          streamShare: 0,
          totalMs: ONE_BUCKET,
          firstTokenMs: ONE_BUCKET,
          legacy: { failureRate: 0.005, latencyFactor: 1 },
          candidate: () => ({ failureRate: 0.005, latencyFactor: 1 }),
          keys,
        };
        const alarms = { deflated: false, requests: false };
        let state: DetectorState<Evidence['buckets']> = NO_WINDOWS;
        let counts = { successes: 0, trials: 0 };
        for (const evidence of take(rehearse(model, 1, seededRandom(run)), 60)) {
          state = appendWindow(state, evidence.buckets, mergeBucketCounts);
          const rates = ratesOf(evidence);
          counts = addCounts(counts, {
            successes: rates.candidate.events,
            trials: rates.candidate.events + rates.legacy.events,
          });
          alarms.requests ||= judge(counts.successes, counts.trials) >= -Math.log(ALPHA.errors);
          alarms.deflated ||=
            detect(state, mergeBucketCounts, (buckets) => {
              const { legacy, candidate } = deflatedRates(buckets);
              return judge(candidate.events, candidate.events + legacy.events);
            }) >= -Math.log(ALPHA.errors);
        }
        found.deflated += Number(alarms.deflated);
        found.requests += Number(alarms.requests);
      }
      yield `${name}, share ${share}, 60 windows of 400, ${runs} runs: ${percent(found.deflated, runs)} (alpha ${percentOf(ALPHA.errors)}), undeflated ${percent(found.requests, runs)}`;
    }
  }
}

const ONE_BUCKET: Histogram = { zero: 0, buckets: [[1, 1]] };
const NO_SAMPLES: ArmSamples = { legacy: EMPTY_HISTOGRAM, candidate: EMPTY_HISTOGRAM };
const NO_RATES: TwoRates = {
  legacy: { events: 0, requests: 0 },
  candidate: { events: 0, requests: 0 },
};

function drawErrors(
  requests: number,
  share: number,
  legacy: number,
  candidate: number,
  random: Random,
): RateCounts {
  const rates = drawRates(requests, share, legacy, candidate, random);
  return { successes: rates.candidate.events, trials: rates.candidate.events + rates.legacy.events };
}

function drawRates(
  requests: number,
  share: number,
  legacy: number,
  candidate: number,
  random: Random,
): TwoRates {
  const moved = drawEvents(requests, share, random);
  return {
    legacy: { events: drawEvents(requests - moved, legacy, random), requests: requests - moved },
    candidate: { events: drawEvents(moved, candidate, random), requests: moved },
  };
}

function drawSamples(
  requests: number,
  share: number,
  factor: number,
  sigma: number,
  random: Random,
): ArmSamples {
  const moved = drawEvents(requests, share, random);
  return {
    legacy: drawLatencies(requests - moved, 1_000, sigma, random),
    candidate: drawLatencies(moved, 1_000 * factor, sigma, random),
  };
}

function* take<T>(source: Iterable<T>, count: number): Iterable<T> {
  let taken = 0;
  for (const item of source) {
    yield item;
    taken += 1;
    if (taken === count) return;
  }
}

function addSamples(a: ArmSamples, b: ArmSamples): ArmSamples {
  return {
    legacy: mergeHistograms([a.legacy, b.legacy]),
    candidate: mergeHistograms([a.candidate, b.candidate]),
  };
}

function addRates(a: TwoRates, b: TwoRates): TwoRates {
  return {
    legacy: { events: a.legacy.events + b.legacy.events, requests: a.legacy.requests + b.legacy.requests },
    candidate: {
      events: a.candidate.events + b.candidate.events,
      requests: a.candidate.requests + b.candidate.requests,
    },
  };
}

function arm(evidence: Evidence, name: Arm, shape?: EvidenceCell['shape']): EvidenceCell | null {
  return sumCells(evidence, (cell) => cell.side === name && (shape === undefined || cell.shape === shape));
}

function ratesOf(evidence: Evidence): TwoRates {
  const [legacy, candidate] = [arm(evidence, 'legacy'), arm(evidence, 'candidate')];
  return {
    legacy: { events: legacy === null ? 0 : failureCount(legacy), requests: legacy?.attempts ?? 0 },
    candidate: {
      events: candidate === null ? 0 : failureCount(candidate),
      requests: candidate?.attempts ?? 0,
    },
  };
}

function samplesOf(evidence: Evidence, measure: 'totalMs' | 'firstTokenMs'): ArmSamples {
  const shape = measure === 'totalMs' ? 'plain' : 'stream';
  return {
    legacy: arm(evidence, 'legacy', shape)?.[measure] ?? EMPTY_HISTOGRAM,
    candidate: arm(evidence, 'candidate', shape)?.[measure] ?? EMPTY_HISTOGRAM,
  };
}

function percent(count: number, of: number): string {
  return `${((100 * count) / of).toFixed(1)}%`;
}

function percentOf(part: number): string {
  return `${Number((100 * part).toFixed(3))}%`;
}

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const at = (p: number) => Math.round(sorted[Math.floor(p * (sorted.length - 1))] ?? 0);
  return `mean ${Math.round(mean)}, median ${at(0.5)}, 90% ${at(0.9)}`;
}

void runBench('gate-validity', main);
