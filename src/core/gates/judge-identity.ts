import type { IdentityReading } from '../assessment/declared-identity';
import { metricVerdict } from './gate-metric';
import { IDENTITY, type MetricVerdict } from './verdict';

/** The declared identity, where the plan declares one and it was read: another one fails, and pauses; unread is only shown. */
export function judgeIdentity(reading: IdentityReading | undefined): MetricVerdict[] {
  if (reading === undefined) return [];
  const { outcome, sentence } = reading;
  return [
    metricVerdict({
      metric: IDENTITY,
      unit: 'probes',
      role: outcome === 'unread' ? 'report' : 'guardrail',
      outcome: ({ other: 'fail', same: 'pass', unread: 'not applicable' } as const)[outcome],
      n: { legacy: 0, candidate: outcome === 'unread' ? 0 : 1 },
      sentence,
    }),
  ];
}

/** What a verdict's metric was made of: history has the reading nowhere else. */
export function identityIn(metrics: readonly MetricVerdict[]): IdentityReading | undefined {
  const metric = metrics.find((each) => each.metric === IDENTITY);
  if (metric === undefined) return undefined;
  const outcome = metric.outcome === 'fail' ? 'other' : metric.outcome === 'pass' ? 'same' : 'unread';
  return { outcome, sentence: metric.sentence };
}
