import { usageLines } from '../../core/assessment/usage-digest';
import {
  type GateVerdict,
  isOutcomeReports,
  type MetricVerdict,
  type VerdictOutcome,
} from '../../core/gates/verdict';
import { verdictTexts } from '../../core/gates/verdict-text';
import type { AssessmentSummary, MigrationState } from '../../core/migration/migration-state';
import type { MigrationStatus } from '../../core/migration/status';

/** How far a metric is from being decided; `fraction` is 0 to 1. */
export interface EvidenceBar {
  /** E-values grow towards what decides on a log scale; counts on a linear one. */
  readonly kind: 'e-value' | 'count';
  /** Whether a full bar lets the candidate be promoted, or asks for a rollback. */
  readonly toward: 'pass' | 'harm';
  readonly value: number;
  readonly threshold: number;
  readonly fraction: number;
}

export interface MetricView {
  readonly metric: string;
  readonly outcome: VerdictOutcome;
  readonly harm: boolean;
  readonly sentence: string;
  readonly unit: MetricVerdict['unit'];
  readonly legacy: number | null;
  readonly candidate: number | null;
  readonly bar: EvidenceBar | null;
}

/** What the current stage's gate said last. */
export interface GateView {
  readonly outcome: VerdictOutcome | null;
  readonly sentence: string;
  /** The outcome as people read it. */
  readonly word: string;
  /** Whether the word is neither good nor bad news. */
  readonly isNeutral: boolean;
  readonly metrics: readonly MetricView[];
  /** What the assess stage found; empty before it has. */
  readonly blockers: readonly string[];
  readonly warnings: readonly string[];
  /** What the usage logs showed, in sentences, while the stage moves nothing. */
  readonly usage: readonly string[];
}

export type ShownVerdict = MigrationState['verdicts'][number];

/** The gate of the stage that the migration is in; before its first window, what the assessment said. */
export function gateOf(
  { verdict, stages, stage, phase, usage: digest }: MigrationStatus,
  assessment: AssessmentSummary | null,
): GateView {
  const { blockers = [], warnings = [] } = assessment ?? {};
  const assessing = stages.find(({ name }) => name === stage)?.share === 0;
  const usage = assessing && digest !== null ? usageLines(digest) : [];
  if (verdict !== null) {
    const { outcome, burnIn } = verdict;
    const texts = verdictTexts(verdict, phase === 'handover');
    return {
      ...{ outcome, ...texts, isNeutral: burnIn && outcome !== 'fail' },
      ...{ metrics: verdict.metrics.map(metricView), blockers, usage },
      // An assessment with one doubt has it for its sentence.
      warnings: warnings.filter((text) => text !== texts.sentence),
    };
  }
  const assessed = assessing ? assessment : null;
  return {
    outcome: assessed?.outcome ?? null,
    word: assessed?.outcome ?? 'no verdict yet',
    sentence: assessed?.sentence ?? '',
    isNeutral: assessed === null,
    metrics: [],
    blockers,
    warnings,
    usage,
  };
}

function metricView(verdict: MetricVerdict): MetricView {
  const { metric, outcome, harm, sentence, unit, legacy, candidate } = verdict;
  return { metric, outcome, harm, sentence, unit, legacy, candidate, bar: barOf(verdict) };
}

/** How far a metric's evidence has come; null where it has none. */
export function barOf(verdict: MetricVerdict): EvidenceBar | null {
  const { eValue = null, threshold = null, unit, candidate, margin } = verdict;
  if (eValue !== null && threshold !== null && threshold > 1) {
    const fraction = clamp(Math.log(Math.max(eValue, 1)) / Math.log(threshold));
    return { kind: 'e-value', toward: towardOf(verdict), value: eValue, threshold, fraction };
  }
  const counts = unit === 'requests' || unit === 'keys' || unit === 'probes';
  if (!counts || candidate === null || margin === null || margin <= 0) return null;
  const fraction = clamp(candidate / margin);
  return { kind: 'count', toward: 'pass', value: candidate, threshold: margin, fraction };
}

/** Evidence is of harm where a metric only guards; a floor, the sample ratio and the model are never shown to hold. */
function towardOf({ metric, harm, outcome, role }: MetricVerdict): EvidenceBar['toward'] {
  const guards = harm || outcome === 'not applicable' || role === 'guardrail' || GUARDS.includes(metric);
  return guards || isOutcomeReports({ metric }) ? 'harm' : 'pass';
}

const GUARDS: readonly string[] = ['floor', 'sample ratio', 'served model'];

function clamp(value: number): number {
  return Number(Math.min(1, Math.max(0, value)).toFixed(3));
}

/** The verdict's word as a tone for colours: a fail is grave, a pass is good, the rest waits. */
export function toneOf(outcome: GateVerdict['outcome'] | null, harm = false): 'good' | 'bad' | 'open' {
  if (harm || outcome === 'fail') return 'bad';
  return outcome === 'pass' ? 'good' : 'open';
}
