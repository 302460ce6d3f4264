import { execFileSync } from 'node:child_process';
import type { Evidence } from '../src/core/evidence/evidence';
import { noStageEvidence } from '../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../src/core/evidence/stage/stage-window';
import {
  type KeyModel,
  latencyShape,
  type Random,
  rehearse,
  seededRandom,
} from '../src/core/rehearsal/rehearsal';
import { type LogEvidence, rateAbove, rateInterval } from '../src/core/statistics/beta-binomial';
import {
  addCounts,
  appendWindow,
  type DetectorState,
  detectRate,
  NO_WINDOWS,
  type RateCounts,
} from '../src/core/statistics/change-detector';
import { geometricMeanRatio } from '../src/core/statistics/geometric-mean';
import { mergeHistograms } from '../src/core/statistics/histogram';
import { quantileRatioInterval } from '../src/core/statistics/quantile-bound';
import {
  type ArmSamples,
  detectQuantileExceeds,
  quantileWithin,
} from '../src/core/statistics/quantile-ratio';
import { differenceWithin, type TwoRates } from '../src/core/statistics/rate-difference';
import { candidateFraction, ratioExceeds, ratioInterval } from '../src/core/statistics/rate-ratio';
import { sampleRatioMismatch } from '../src/core/statistics/sample-ratio';
import { aStage, EPOCH, judged } from '../test/support/migrations/gate-evidence';
import { drawEvents, drawLatencies, drawNormal } from '../test/support/statistics-draws';
import { readOptions, runBench } from './bench-program';

const SHARE = 0.1;
const WINDOWS = 200;
const REQUESTS = 1_000_000;
const EVALUATIONS = 50;

/**
 * Times one evaluation of the whole gate, and of its statistics alone, over a million requests, and compares the rate
 * process with confseq in Python on the same counts; without confseq the comparison is left out and said to be.
 */
function main(): void {
  const { json, python } = readOptions('bench:gates', 'Times one evaluation of all gates of a stage.', {
    python: ['an interpreter that has confseq', 'python3'],
    json: ['prints one line of JSON', false],
  });
  const rows = [
    { traffic: 'no difference', ...timed(drawStage(1, 1, seededRandom(1))) },
    { traffic: 'candidate harms', ...timed(drawStage(1.8, 1.8, seededRandom(2))) },
  ];
  const gates = GATES.map((setting) => ({ ...setting, ...timedGate(setting) }));
  const comparison = compareWithConfseq(python);
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ requests: REQUESTS, windows: WINDOWS, rows, gates, confseq: comparison })}\n`,
    );
    return;
  }
  process.stdout.write(`One evaluation of all metrics, ${REQUESTS} requests in ${WINDOWS} windows:\n`);
  for (const row of rows) {
    process.stdout.write(
      `  ${row.traffic.padEnd(16)} fastest ${row.fastestMs.toFixed(2)} ms, median ${row.medianMs.toFixed(2)} ms, 90% ${row.p90Ms.toFixed(2)} ms (goal 5 ms), appending a window ${row.appendMs.toFixed(2)} ms\n`,
    );
  }
  process.stdout.write(`The whole gate, ${REQUESTS} requests in ${GATE_WINDOWS} windows of a stage:\n`);
  for (const { traffic, stage, models, fastestMs, medianMs, cpuMs, appendMs, evidence, result } of gates) {
    process.stdout.write(
      `  ${traffic}, ${stage}, ${models} models: fastest ${fastestMs.toFixed(2)} ms, median ${medianMs.toFixed(2)} ms, CPU ${cpuMs.toFixed(2)} ms on average (goal 5 ms); a window is added in ${appendMs.toFixed(2)} ms; evidence ${evidence} bytes (goal 64 KB), evidence and verdict ${result} bytes (goal 16 KB)\n`,
    );
  }
  process.stdout.write(
    comparison === null
      ? `confseq: not importable by ${python}; give an interpreter that has it with --python\n`
      : `confseq: ln E equal on ${comparison.equal} counts (to ${comparison.largestDifference.toExponential(1)}), ${comparison.underflowed} underflow there; ${comparison.ourMicros.toFixed(1)} us an evaluation here, ${comparison.confseqMicros.toFixed(1)} us there\n`,
  );
}

interface Stage {
  readonly errors: DetectorState<RateCounts>;
  readonly floor: DetectorState<RateCounts>;
  readonly latencies: readonly DetectorState<ArmSamples>[];
  readonly rates: TwoRates;
  readonly samples: readonly ArmSamples[];
  readonly cost: { readonly legacy: Moments; readonly candidate: Moments };
}

interface Moments {
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/** p95 total of plain answers, first token and inter-token of streams: half of the requests each. */
const LATENCIES = [
  { median: 2_000, sigma: 0.8 },
  { median: 400, sigma: 0.5 },
  { median: 30, sigma: 0.4 },
];

function drawStage(errorFactor: number, latencyFactor: number, random: Random): Stage {
  let [errors, floor]: DetectorState<RateCounts>[] = [NO_WINDOWS, NO_WINDOWS];
  const latencies: DetectorState<ArmSamples>[] = LATENCIES.map(() => NO_WINDOWS);
  const total = { legacy: { events: 0, requests: 0 }, candidate: { events: 0, requests: 0 } };
  for (let window = 0; window < WINDOWS; window += 1) {
    const requests = REQUESTS / WINDOWS;
    const moved = drawEvents(requests, SHARE, random);
    const legacy = drawEvents(requests - moved, 0.01, random);
    const candidate = drawEvents(moved, 0.01 * errorFactor, random);
    errors = appendWindow(
      errors ?? NO_WINDOWS,
      { successes: candidate, trials: candidate + legacy },
      addCounts,
    );
    floor = appendWindow(floor ?? NO_WINDOWS, { successes: candidate, trials: moved }, addCounts);
    total.legacy.events += legacy;
    total.legacy.requests += requests - moved;
    total.candidate.events += candidate;
    total.candidate.requests += moved;
    LATENCIES.forEach(({ median, sigma }, index) => {
      const samples = {
        legacy: drawLatencies((requests - moved) >> 1, median, sigma, random),
        candidate: drawLatencies(moved >> 1, median * latencyFactor, sigma, random),
      };
      latencies[index] = appendWindow(latencies[index] ?? NO_WINDOWS, samples, addSamples);
    });
  }
  return {
    errors: errors ?? NO_WINDOWS,
    floor: floor ?? NO_WINDOWS,
    latencies,
    rates: total,
    samples: latencies.map(({ segments }) => segments.map((segment) => segment.evidence).reduce(addSamples)),
    cost: {
      legacy: drawMoments(total.legacy.requests, random),
      candidate: drawMoments(total.candidate.requests, random),
    },
  };
}

function drawMoments(count: number, random: Random): Moments {
  let [sum, sumOfSquares] = [0, 0];
  for (let index = 0; index < count; index += 1) {
    const logCost = drawNormal(random);
    sum += logCost;
    sumOfSquares += logCost * logCost;
  }
  return { count, sum, sumOfSquares };
}

function addSamples(a: ArmSamples, b: ArmSamples): ArmSamples {
  return {
    legacy: mergeHistograms([a.legacy, b.legacy]),
    candidate: mergeHistograms([a.candidate, b.candidate]),
  };
}

/** Everything that a verdict states; the sum keeps the work from being optimised away. */
function evaluate(stage: Stage): number {
  const { legacy, candidate } = stage.rates;
  const events = legacy.events + candidate.events;
  let sum = detectRate(stage.errors, ratioExceeds(1.5, SHARE));
  sum += detectRate(stage.floor, rateAbove(0.03, { mean: 0.06, strength: 50 }));
  sum += differenceWithin(0.02)(stage.rates);
  sum += sampleRatioMismatch(SHARE)(candidate.requests, candidate.requests + legacy.requests);
  sum += ratioInterval(candidate.events, events, SHARE, 0.05).low;
  sum += rateInterval(candidate.events, candidate.requests, 0.05).high;
  for (const state of stage.latencies) sum += detectQuantileExceeds({ p: 0.95, margin: 0.5 }, state);
  for (const samples of stage.samples) {
    sum += quantileWithin({ p: 0.95, margin: 0.2 }, samples);
    sum += quantileRatioInterval(samples, 0.95, 0.05).low;
  }
  return sum + (geometricMeanRatio(stage.cost.legacy, stage.cost.candidate, 0.05)?.ratio ?? 0);
}

function timed(stage: Stage): { fastestMs: number; medianMs: number; p90Ms: number; appendMs: number } {
  let sum = 0;
  const times: number[] = [];
  for (let round = -10; round < EVALUATIONS; round += 1) {
    const started = performance.now();
    sum += evaluate(stage);
    if (round >= 0) times.push(performance.now() - started);
  }
  if (!Number.isFinite(sum)) throw new Error(`expected finite evidence, got ${sum}`);
  times.sort((a, b) => a - b);
  const started = performance.now();
  for (const state of stage.latencies) {
    const last = state.segments.at(-1);
    if (last !== undefined) appendWindow(state, last.evidence, addSamples);
  }
  return {
    fastestMs: times[0] ?? 0,
    medianMs: times[times.length >> 1] ?? 0,
    p90Ms: times[Math.floor(times.length * 0.9)] ?? 0,
    appendMs: performance.now() - started,
  };
}

/** The gate as a watch asks it, on windows as gateways report them. */
interface GateSetting {
  readonly traffic: string;
  readonly stage: 'canary' | 'rolling';
  readonly models: number;
  readonly slower: number;
  readonly keys: KeyModel | null;
}

const GATE_WINDOWS = 48;
const KEYS: KeyModel = { keys: 500, skew: 0.8, failingKeys: 0.02, failingRate: 0.5, episodes: 0.002 };
const GATES: readonly GateSetting[] = [
  { traffic: 'no difference', stage: 'rolling', models: 1, slower: 1, keys: null },
  { traffic: 'no difference', stage: 'canary', models: 5, slower: 1, keys: null },
  { traffic: 'no difference', stage: 'rolling', models: 5, slower: 1, keys: null },
  { traffic: '15% slower, not decided', stage: 'rolling', models: 5, slower: 1.15, keys: null },
  { traffic: '500 sticky keys, not decided', stage: 'rolling', models: 5, slower: 1, keys: KEYS },
];

function timedGate({ stage: name, models, slower, keys }: GateSetting) {
  const stage = aStage(name);
  const said = { legacy: { failureRate: 0.01, latencyFactor: 1 }, keys, models };
  const traffic = {
    ...said,
    share: stage.share,
    requestsPerWindow: Math.round(REQUESTS / GATE_WINDOWS),
    totalMs: latencyShape(2_000, 6_000),
    candidate: () => ({ failureRate: 0.01, latencyFactor: slower }),
  };
  const firstTokens = { ...traffic, streamShare: 0.5, firstTokenMs: latencyShape(400, 1_000) };
  const betweenTokens = { ...traffic, keys: null, streamShare: 1, firstTokenMs: latencyShape(30, 60) };
  const windows = rehearse(firstTokens, EPOCH, seededRandom(1));
  const gaps = rehearse(betweenTokens, EPOCH, seededRandom(2));
  let evidence = noStageEvidence(EPOCH);
  const append: number[] = [];
  for (let window = 0; window < GATE_WINDOWS; window += 1) {
    const drawn = withGaps(windows.next().value, gaps.next().value);
    const started = performance.now();
    evidence = withWindow(evidence, drawn, { burnIn: window === 0, shareApplied: true, share: stage.share });
    append.push(performance.now() - started);
  }
  const times: number[] = [];
  const before = process.cpuUsage();
  for (let round = -10; round < EVALUATIONS; round += 1) {
    const started = performance.now();
    judged(stage, evidence);
    if (round >= 0) times.push(performance.now() - started);
  }
  const { user, system } = process.cpuUsage(before);
  times.sort((a, b) => a - b);
  const bytes = JSON.stringify(evidence).length;
  return {
    fastestMs: times[0] ?? 0,
    medianMs: times[times.length >> 1] ?? 0,
    cpuMs: (user + system) / 1_000 / (EVALUATIONS + 10),
    appendMs: append.toSorted((a, b) => a - b)[GATE_WINDOWS >> 1] ?? 0,
    evidence: bytes,
    result: bytes + JSON.stringify(judged(stage, evidence)).length,
  };
}

/** A rehearsal draws no gaps between tokens: those of another one's first tokens are taken. */
function withGaps(drawn: Evidence, gaps: Evidence): Evidence {
  return {
    ...drawn,
    cells: drawn.cells.map((cell) => {
      const own = gaps.cells.find(({ side, model }) => side === cell.side && model === cell.model);
      return cell.shape === 'stream' && own !== undefined
        ? { ...cell, interTokenMs: own.firstTokenMs }
        : cell;
    }),
  };
}

interface Comparison {
  /** Of 1,000 counts. */
  readonly equal: number;
  /** Counts so far below the bound that the tail, of which confseq takes the logarithm, is 0 or denormal. */
  readonly underflowed: number;
  readonly largestDifference: number;
  readonly ourMicros: number;
  readonly confseqMicros: number;
}

/** confseq's prior has its mean at the bound; its strength follows from the v that it is tuned for. */
const CONFSEQ = `
import json, math, sys, time
import numpy as np
from confseq.boundaries import beta_binomial_log_mixture
given = json.load(sys.stdin)
g, h, v = given["bound"], 1 - given["bound"], 100.0
k, n = np.array(given["successes"], float), np.array(given["trials"], float)
s, variance = k - n * g, n * g * h
started = time.perf_counter()
values = beta_binomial_log_mixture(s, variance, v, g, h, 0.05, True)
seconds = time.perf_counter() - started
rho = v / (2 * math.log(10) + math.log(1 + 2 * math.log(10)))
finite = [float(x) if math.isfinite(x) else None for x in values]
print(json.dumps(dict(values=finite, micros=1e6 * seconds / len(k), strength=(rho - g * h) / (g * h))))
`;

function compareWithConfseq(python: string): Comparison | null {
  const bound = candidateFraction(SHARE, 1.5);
  const random = seededRandom(3);
  const trials = Array.from({ length: 1_000 }, () => Math.floor(10 ** (1 + 4 * random())));
  const successes = trials.map((n) => drawEvents(n, 2 * bound * random(), random));
  let answer: { values: (number | null)[]; micros: number; strength: number };
  try {
    const input = JSON.stringify({ bound, successes, trials });
    answer = JSON.parse(
      execFileSync(python, ['-c', CONFSEQ], { input, stdio: ['pipe', 'pipe', 'ignore'], encoding: 'utf8' }),
    );
  } catch {
    return null;
  }
  const process: LogEvidence = rateAbove(bound, { mean: bound, strength: answer.strength });
  const started = performance.now();
  const ours = trials.map((n, index) => process(successes[index] ?? 0, n));
  const ourMicros = ((performance.now() - started) * 1_000) / trials.length;
  const differences = ours.map((value, index) => Math.abs(value - (answer.values[index] ?? -Infinity)));
  const equal = differences.filter((difference) => difference < 1e-6);
  return {
    equal: equal.length,
    underflowed: differences.length - equal.length,
    largestDifference: Math.max(...equal),
    ourMicros,
    confseqMicros: answer.micros,
  };
}

void runBench('bench:gates', main);
