import type { StagePlan } from '../plan/plan';
import type { MetricVerdict } from './verdict';

type VerdictParts = Pick<MetricVerdict, 'metric' | 'outcome' | 'sentence' | 'unit' | 'role'> &
  Partial<MetricVerdict>;

const NO_NUMBERS = {
  harm: false,
  n: { legacy: 0, candidate: 0 },
  legacy: null,
  candidate: null,
  margin: null,
} as const;

/** A metric's verdict; numbers are cut to what a person reads, and what compares nothing has none of the later ones. */
export function metricVerdict(given: VerdictParts): MetricVerdict {
  const { legacy, candidate, margin, estimate, interval, eValue, threshold, moreRequests, ...rest } = {
    ...NO_NUMBERS,
    ...given,
  };
  return {
    ...rest,
    legacy: rounded(legacy),
    candidate: rounded(candidate),
    margin: rounded(margin),
    ...known('estimate', rounded(estimate ?? null)),
    ...known('interval', interval == null ? null : [rounded(interval[0]), rounded(interval[1])]),
    ...known('eValue', rounded(eValue ?? null)),
    ...known('threshold', rounded(threshold ?? null)),
    ...known('moreRequests', moreRequests ?? null),
  };
}

/** Every window keeps every verdict in history: what is null is left out. */
function known<Name extends keyof MetricVerdict, Value>(name: Name, value: Value | null) {
  return value === null ? {} : ({ [name]: value } as Record<Name, Value>);
}

/** Four digits; what JSON cannot hold is null. */
function rounded(value: number | null): number | null {
  return value === null || !Number.isFinite(value) ? null : Number(value.toPrecision(4));
}

/** Beyond this an e-value is only "more than a million": JSON holds no infinity. */
const LARGEST_E_VALUE = 1e6;

/** The e-value of ln E. */
export function eValueOf(logEvidence: number): number {
  return Math.min(LARGEST_E_VALUE, Math.exp(logEvidence));
}

/** What a metric's verdict says where evidence for harm has reached what `alpha` asks for. */
export function shownHarm(logHarm: number, alpha: number) {
  return { outcome: 'fail', harm: true, eValue: eValueOf(logHarm), threshold: 1 / alpha } as const;
}

/** How many windows from the end a goal is looked at again: what began late drowns in what came before. */
export function lateWindows({ soakMs, windowMs }: Pick<StagePlan, 'soakMs' | 'windowMs'>): number {
  return Math.max(1, Math.ceil(soakMs / windowMs / 3));
}

/** Evidence that a goal is missed from which on it is not met: it only holds, so it need not be certain. */
export const SEEMING = Math.log(2);

/** What a metric's verdict says of a goal: met where evidence for it has reached what `alpha` asks for. */
export function goalReached(
  logWithin: number,
  alpha: number,
  moreRequests: number | null,
  missedLately = false,
) {
  return {
    outcome: logWithin >= -Math.log(alpha) && !missedLately ? 'pass' : 'inconclusive',
    eValue: eValueOf(logWithin),
    threshold: 1 / alpha,
    moreRequests,
  } as const;
}

/** `e-value 61 of 20 needed`. */
export function evidenceText(logEvidence: number, alpha: number): string {
  const value = eValueOf(logEvidence);
  const shown = value >= LARGEST_E_VALUE ? 'over a million' : countText(value);
  return `e-value ${shown} of ${countText(1 / alpha)} needed`;
}

/** `, about 1,200 more requests expected to decide`, or nothing when that cannot be foreseen. */
export function moreText(moreRequests: number | null): string {
  return moreRequests === null
    ? ''
    : `; about ${moreRequests.toLocaleString('en-US')} more requests expected to decide`;
}

/** How many more requests a growth by `factor` is, to two digits; null when no growth decides. */
export function moreRequestsOf(factor: number | null, requests: number): number | null {
  if (factor === null || factor <= 1) return null;
  return Number(Math.max(1, (factor - 1) * requests).toPrecision(2));
}

export function percentText(value: number): string {
  return `${Number((value * 100).toFixed(Math.abs(value) < 0.1 ? 2 : 0))}%`;
}

export function pointsText(value: number): string {
  const points = Number((value * 100).toFixed(2));
  return `${points} point${Math.abs(points) === 1 ? '' : 's'}`;
}

/** `20% worse`, `3% better`, `the same`. */
export function worseText(part: number): string {
  if (Math.abs(part) < 0.005) return 'the same';
  return part > 0 ? `${percentText(part)} worse` : `${percentText(-part)} better`;
}

export function millisecondsText(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value).toLocaleString('en-US')} ms`;
}

/** A count or an e-value: three digits below a hundred, whole and grouped above. */
function countText(value: number): string {
  return value < 100 ? String(Number(value.toPrecision(2))) : Math.round(value).toLocaleString('en-US');
}
