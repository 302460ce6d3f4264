import { type EvidenceCell, failureCount, sumCells } from './evidence';
import { type Histogram, histogramCount, mergeHistograms, quantile } from './histogram';
import { formatShare, type StagePlan, stageKind } from './plan';
import type { Side } from './routing';
import type { Baseline, GateInput, GateVerdict, MetricVerdict } from './verdict';

/**
 * Evidence in, verdict out: judges one stage at one moment, pure. A metric without data is `not evaluated`,
 * which never passes; without a control arm relative metrics are `not applicable`, and the complete stage is
 * held to absolute bounds frozen from the last stage that had one.
 */
export function judgeStage(stage: StagePlan, epoch: number, input: GateInput): GateVerdict {
  const arms = { legacy: armOf(input, 'legacy'), candidate: armOf(input, 'candidate') };
  const metrics = input.burnIn
    ? [...silence(input), floor(stage, arms), probes(stage, input)]
    : [
        ...silence(input),
        errors(stage, arms, input.baseline),
        ...latencies(stage, arms, input.baseline),
        floor(stage, arms),
        minimumSample(stage, arms),
        probes(stage, input),
      ];
  // Law 3: at share 1 only a legacy whose probes pass is a place to go back to by itself.
  const mayRollBack = stageKind(stage) !== 'complete' || input.probes.legacy.failedInARow === 0;
  const harm = mayRollBack ? metrics.find((metric) => metric.harm) : undefined;
  const outcome = input.burnIn ? 'inconclusive' : combine(metrics);
  const { legacy, candidate } = { legacy: arms.legacy.requests, candidate: arms.candidate.requests };
  return {
    stage: stage.name,
    epoch,
    outcome: harm === undefined ? outcome : 'fail',
    harm: harm?.metric ?? null,
    pause: null,
    burnIn: input.burnIn,
    sentence: harm?.sentence ?? summary(stage, outcome, metrics, input.burnIn),
    metrics,
    observedShare: legacy + candidate === 0 ? null : candidate / (legacy + candidate),
    requests: { legacy, candidate },
    baseline: baselineOf(arms.legacy),
  };
}

interface Arm {
  readonly requests: number;
  readonly failures: number;
  readonly plainMs: Histogram;
  readonly firstTokenMs: Histogram;
  readonly interTokenMs: Histogram;
}

function armOf(input: GateInput, side: Side): Arm {
  const live = (cell: EvidenceCell) => cell.side === side && cell.kind === 'live';
  const plain = sumCells(input.evidence, (cell) => live(cell) && cell.shape === 'plain');
  const stream = sumCells(input.evidence, (cell) => live(cell) && cell.shape === 'stream');
  const both = [plain, stream].filter((cell) => cell !== null);
  return {
    requests: both.reduce((sum, cell) => sum + cell.attempts - cell.aborted, 0),
    failures: both.reduce((sum, cell) => sum + failureCount(cell), 0),
    plainMs: plain?.totalMs ?? mergeHistograms([]),
    firstTokenMs: stream?.firstTokenMs ?? mergeHistograms([]),
    interTokenMs: stream?.interTokenMs ?? mergeHistograms([]),
  };
}

interface Arms {
  readonly legacy: Arm;
  readonly candidate: Arm;
}

/** Below so many failures or requests a difference is not called harm. */
const HARM_MINIMUM = { failures: 5, requests: 20 };

function errors(stage: StagePlan, arms: Arms, frozen: Baseline | null): MetricVerdict {
  const { rollbackRatio, promotionExcess } = stage.gates.errors;
  const candidate = rate(arms.candidate);
  const control = stageKind(stage) === 'complete' ? (frozen?.errorRate ?? null) : rate(arms.legacy);
  const base = {
    metric: 'errors',
    n: { legacy: arms.legacy.requests, candidate: arms.candidate.requests },
    legacy: control,
    candidate,
    margin: promotionExcess,
  };
  if (candidate === null || control === null) return notEvaluated(base, 'errors: no requests to compare yet');
  const enough =
    arms.candidate.requests >= HARM_MINIMUM.requests && arms.candidate.failures >= HARM_MINIMUM.failures;
  // A ratio over (almost) no errors means little: legacy is taken to err at least once in 200.
  const harm = enough && candidate > rollbackRatio * Math.max(control, 0.005);
  const excess = candidate - control;
  const sentence = `candidate errors ${percent(candidate)} against ${percent(control)}: ${signedPoints(excess)}, margin ${points(promotionExcess)}`;
  return { ...base, outcome: excess <= promotionExcess ? 'pass' : 'fail', harm, sentence };
}

function latencies(stage: StagePlan, arms: Arms, frozen: Baseline | null): MetricVerdict[] {
  const { latency, interToken } = stage.gates;
  const complete = stageKind(stage) === 'complete';
  const measures = [
    { name: 'p95 of plain answers', key: 'plainMs', gate: latency, frozen: frozen?.plainP95Ms ?? null },
    {
      name: 'p95 to first token',
      key: 'firstTokenMs',
      gate: latency,
      frozen: frozen?.firstTokenP95Ms ?? null,
    },
    {
      name: 'p95 between tokens',
      key: 'interTokenMs',
      gate: { rollbackIncrease: interToken.rollbackIncrease, promotionIncrease: null },
      frozen: null,
    },
  ] as const;
  return measures.flatMap(({ name, key, gate, frozen: bound }) => {
    const n = { legacy: histogramCount(arms.legacy[key]), candidate: histogramCount(arms.candidate[key]) };
    if (n.legacy === 0 && n.candidate === 0) return [];
    const candidate = quantile(arms.candidate[key], 0.95);
    const control = complete ? bound : quantile(arms.legacy[key], 0.95);
    const base = { metric: name, n, legacy: control, candidate, margin: gate.promotionIncrease };
    if (control === null) {
      return complete
        ? [{ ...base, outcome: 'not applicable' as const, harm: false, sentence: `${name}: no control arm` }]
        : [notEvaluated(base, `${name}: no answers of legacy to compare with yet`)];
    }
    if (candidate === null) return [notEvaluated(base, `${name}: no answers of the candidate yet`)];
    const worse = candidate / control - 1;
    const harm = n.candidate >= HARM_MINIMUM.requests && worse > gate.rollbackIncrease;
    const margin = gate.promotionIncrease;
    const sentence = `candidate ${name} ${milliseconds(candidate)} against ${milliseconds(control)}: ${signedPercent(worse)}, ${margin === null ? 'watched for harm only' : `margin ${percent(margin)}`}`;
    const outcome =
      margin === null ? ('not applicable' as const) : worse <= margin ? ('pass' as const) : ('fail' as const);
    return [{ ...base, outcome, harm, sentence }];
  });
}

function floor(stage: StagePlan, arms: Arms): MetricVerdict {
  const { success } = stage.gates.floor;
  const failed = rate(arms.candidate);
  const base = {
    metric: 'floor',
    n: { legacy: 0, candidate: arms.candidate.requests },
    legacy: null,
    candidate: failed === null ? null : 1 - failed,
    margin: success,
  };
  if (failed === null) return notEvaluated(base, 'floor: no candidate requests yet');
  const harm =
    arms.candidate.requests >= HARM_MINIMUM.requests &&
    arms.candidate.failures >= HARM_MINIMUM.failures &&
    1 - failed < success;
  const sentence = `candidate success ${percent(1 - failed)}, floor ${percent(success)}`;
  return { ...base, outcome: 1 - failed >= success ? 'pass' : 'fail', harm, sentence };
}

function minimumSample(stage: StagePlan, arms: Arms): MetricVerdict {
  const { requests } = arms.candidate;
  return {
    metric: 'minimum sample',
    outcome: requests >= stage.minimumSample ? 'pass' : 'inconclusive',
    harm: false,
    n: { legacy: arms.legacy.requests, candidate: requests },
    legacy: null,
    candidate: requests,
    margin: stage.minimumSample,
    sentence: `${requests} of ${stage.minimumSample} candidate requests`,
  };
}

function probes(stage: StagePlan, input: GateInput): MetricVerdict {
  const { legacy, candidate } = input.probes;
  const { rollbackStreak, promotionStreak } = stage.gates.probes;
  const base = {
    metric: 'probes',
    n: { legacy: legacy.probes, candidate: candidate.probes },
    legacy: legacy.passedInARow,
    candidate: candidate.passedInARow,
    margin: promotionStreak,
  };
  if (candidate.probes === 0) return notEvaluated(base, 'no probe of the candidate has come back yet');
  const harm = candidate.failedInARow >= rollbackStreak && legacy.failedInARow === 0 && legacy.probes > 0;
  const passed = candidate.passedInARow >= promotionStreak;
  const sentence = harm
    ? `the last ${candidate.failedInARow} probes of the candidate failed while legacy's pass`
    : `the last ${candidate.passedInARow} probes of the candidate passed, ${promotionStreak} needed`;
  return { ...base, outcome: passed ? 'pass' : 'inconclusive', harm, sentence };
}

function silence(input: GateInput): MetricVerdict[] {
  if (input.silent.length === 0) return [];
  const base = {
    metric: 'gateways',
    n: { legacy: 0, candidate: 0 },
    legacy: null,
    candidate: null,
    margin: null,
  };
  return [notEvaluated(base, `no evidence from ${input.silent.join(', ')}`)];
}

function combine(metrics: readonly MetricVerdict[]): GateVerdict['outcome'] {
  const outcomes = metrics.map((metric) => metric.outcome);
  if (outcomes.includes('fail')) return 'fail';
  if (outcomes.includes('not evaluated')) return 'not evaluated';
  return outcomes.includes('inconclusive') ? 'inconclusive' : 'pass';
}

function summary(
  stage: StagePlan,
  outcome: GateVerdict['outcome'],
  metrics: readonly MetricVerdict[],
  burnIn: boolean,
): string {
  if (burnIn) return `${stage.name} is in burn-in: recorded, not judged`;
  if (outcome === 'pass') {
    const main = metrics.find((metric) => metric.metric === 'errors')?.sentence ?? '';
    return `${stage.name} at ${formatShare(stage.share)} passes: ${main}`;
  }
  const open = metrics.filter((metric) => metric.outcome === outcome).map((metric) => metric.sentence);
  return `${stage.name} is ${outcome === 'fail' ? 'not within its margins' : outcome}: ${open.join('; ')}`;
}

function baselineOf(legacy: Arm): Baseline | null {
  const errorRate = rate(legacy);
  if (errorRate === null) return null;
  return {
    errorRate,
    plainP95Ms: quantile(legacy.plainMs, 0.95),
    firstTokenP95Ms: quantile(legacy.firstTokenMs, 0.95),
  };
}

function notEvaluated(
  base: Omit<MetricVerdict, 'outcome' | 'harm' | 'sentence'>,
  sentence: string,
): MetricVerdict {
  return { ...base, outcome: 'not evaluated', harm: false, sentence };
}

function rate(arm: Arm): number | null {
  return arm.requests === 0 ? null : arm.failures / arm.requests;
}

function percent(value: number): string {
  return `${Number((value * 100).toFixed(2))}%`;
}

function signedPercent(value: number): string {
  return value >= 0 ? `${percent(value)} worse` : `${percent(-value)} better`;
}

function points(value: number): string {
  return `${Number((value * 100).toFixed(2))} points`;
}

function signedPoints(value: number): string {
  return `${value >= 0 ? '+' : ''}${points(value)}`;
}

function milliseconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value).toLocaleString('en-US')} ms`;
}
