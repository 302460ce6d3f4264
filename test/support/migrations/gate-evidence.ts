import type {
  AnswerCounts,
  AnswerShape,
  BucketCounts,
  Evidence,
  EvidenceCell,
} from '../../../src/core/evidence/evidence';
import { emptyCell } from '../../../src/core/evidence/evidence';
import { noStageEvidence, type StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../../../src/core/evidence/stage/stage-window';
import { judgeStage } from '../../../src/core/gates/judge-stage';
import type { GateInput, GateVerdict, MetricVerdict, ProbeStreak } from '../../../src/core/gates/verdict';
import type { StagePlan } from '../../../src/core/plan/plan';
import { planSchema } from '../../../src/core/plan/plan-schema';
import type { Arm } from '../../../src/core/routing/routing';
import type { Histogram } from '../../../src/core/statistics/histogram';

export const EPOCH = 4;

const PASSING: ProbeStreak = { probes: 20, failures: 0, passedInARow: 20, failedInARow: 0, meanMs: 40 };
export const PROBES = { legacy: PASSING, candidate: PASSING };

/** The default plan's stage of that name, with fields of its own; nothing is held back. */
export function aStage(
  name: 'canary' | 'rolling' | 'complete',
  said: Record<string, unknown> = {},
  alpha: Record<string, number> = {},
): StagePlan {
  const stages = ['assess', 'canary', 'rolling', 'complete'].map((each) =>
    each === name ? { name, ...said } : { name: each },
  );
  const stage = planSchema
    .parse({ route: 'chat', holdback: 0, stages, alpha })
    .stages.find((each) => each.name === name);
  if (stage === undefined) throw new Error(`expected a stage ${name}`);
  return stage;
}

interface CellSaid {
  readonly requests: number;
  readonly failures?: number;
  readonly shape?: AnswerShape;
  readonly model?: string;
  readonly latencies?: Histogram;
  readonly gaps?: Histogram;
  /** Of what succeeded, which is all checked; null: the gateway does not look at answers. */
  readonly breaches?: AnswerCounts['breaches'] | null;
  readonly unchecked?: number;
}

/** A live cell of one arm. */
export function aCell(arm: Arm, said: CellSaid): EvidenceCell {
  const { requests, failures = 0, shape = 'plain', model = 'large-chat', latencies, gaps } = said;
  const { breaches = {}, unchecked = 0 } = said;
  const checked = requests - failures - unchecked;
  return {
    ...emptyCell({ side: arm, kind: 'live', shape, model }),
    attempts: requests,
    successes: requests - failures,
    failures: failures === 0 ? {} : { status_5xx: failures },
    ...(latencies === undefined ? {} : { [shape === 'plain' ? 'totalMs' : 'firstTokenMs']: latencies }),
    ...(gaps === undefined ? {} : { interTokenMs: gaps }),
    ...(breaches === null ? {} : { answers: { checked, unchecked, breaches, ends: {} } }),
  };
}

/** Evidence of some cells. */
export function evidenceOf(
  cells: readonly EvidenceCell[],
  buckets: BucketCounts = { legacy: [], candidate: [] },
): Evidence {
  return { epoch: EPOCH, cells, buckets, pooled: [] };
}

/** A stage's evidence after some windows. */
export function afterWindows(
  windows: readonly Evidence[],
  kind = { burnIn: false, shareApplied: true },
): StageEvidence {
  return windows.reduce((stage, window) => withWindow(stage, window, kind), noStageEvidence(EPOCH));
}

/** What a gate is asked with besides evidence, while all else is well. */
export const ALL_WELL: Omit<GateInput, 'evidence'> = {
  windowRequests: { legacy: 0, candidate: 0 },
  probes: PROBES,
  burnIn: false,
  silent: [],
  baseline: null,
};

/** What the gate says of some evidence, while all else is well. */
export function judged(
  stage: StagePlan,
  evidence: StageEvidence,
  said: Partial<GateInput> = {},
): GateVerdict {
  return judgeStage(stage, EPOCH, {
    ...ALL_WELL,
    evidence,
    ...said,
  });
}

/** One metric of a verdict; throws when there is none of that name. */
export function metricOf(verdict: GateVerdict, name: string): MetricVerdict {
  const metric = verdict.metrics.find((each) => each.metric === name);
  if (metric === undefined) {
    throw new Error(`expected ${name} among ${verdict.metrics.map((each) => each.metric).join('; ')}`);
  }
  return metric;
}
