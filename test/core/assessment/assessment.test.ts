import { assessSplit, isSettled, rejectedByUsage, withUsage } from '../../../src/core/assessment/assessment';
import type { Finding } from '../../../src/core/assessment/finding';
import { type UsageDigest, type UsageFindings, usageLines } from '../../../src/core/assessment/usage-digest';
import { NO_PROBES } from '../../../src/core/gates/verdict';
import type { AssessmentSummary } from '../../../src/core/migration/migration-state';
import type { GatewayStatus } from '../../../src/core/routing/routing';

const BLOCKER: Finding = { kind: 'blocker', text: 'the candidate saves 2.0%, the plan demands 10%' };
const DOUBT: Finding = { kind: 'doubt', text: 'the context length of "new" is not known' };
const WARNING: Finding = { kind: 'warning', text: 'the limit is not known' };
const APPROVAL: Finding = { kind: 'approval', item: 'sla', text: 'Does it hold?', asks: 'ana' };

describe('what the usage logs showed', () => {
  it('changes nothing where it found nothing', () => {
    const usage = found();
    expect(withUsage(providers(), usage)).toEqual({ ...providers(), usage, approvals: [] });
  });

  it('rejects by a blocker, whatever the providers said', () => {
    for (const outcome of ['pass', 'inconclusive', 'fail'] as const) {
      const { sentence, blockers } = withUsage(providers({ outcome }), found(BLOCKER, DOUBT));
      expect([sentence, blockers]).toEqual([BLOCKER.text, [BLOCKER.text]]);
    }
    expect(withUsage(providers(), found(BLOCKER)).outcome).toBe('fail');
  });

  it('holds by a doubt, and keeps what the providers doubt', () => {
    const doubting = providers({ outcome: 'inconclusive', sentence: '3 of 30 probes failed' });
    const summary = withUsage(doubting, found(DOUBT, WARNING));
    expect(summary.outcome).toBe('inconclusive');
    expect(summary.sentence).toBe(`${DOUBT.text}; 3 of 30 probes failed`);
    expect(summary.warnings).toEqual([DOUBT.text, 'slow', WARNING.text]);
  });

  it('passes with a question to a person, who is named, and who has to approve', () => {
    const summary = withUsage(providers(), found(APPROVAL));
    expect(summary).toMatchObject({
      outcome: 'pass',
      sentence: 'both providers answer',
      approvals: [{ item: 'sla', text: 'Does it hold?', asks: 'ana' }],
    });
  });

  it('passes over a warning', () => {
    expect(withUsage(providers(), found(WARNING))).toMatchObject({
      outcome: 'pass',
      sentence: 'both providers answer',
    });
  });

  it('is cut where it has too much to say', () => {
    const many = Array.from(
      { length: 9 },
      (_, index): Finding => ({ kind: 'doubt', text: `doubt ${index}` }),
    );
    expect(withUsage(providers(), found(...many)).sentence).toBe(
      'doubt 0; doubt 1; doubt 2; doubt 3; and 5 more',
    );
  });

  it('rejects before a probe is paid for, and only by a blocker', () => {
    expect(rejectedByUsage(found(DOUBT, APPROVAL, WARNING))).toBeNull();
    expect(rejectedByUsage(found(BLOCKER))).toMatchObject({
      outcome: 'fail',
      probes: { legacy: NO_PROBES, candidate: NO_PROBES },
    });
  });

  it('is looked at again for a doubt, or when it could not be read; not while a person is waited for', () => {
    expect(isSettled(found(APPROVAL, WARNING))).toBe(true);
    expect(isSettled(found(DOUBT))).toBe(false);
    expect(isSettled({ digest: null, findings: [] })).toBe(false);
  });
});

it('tells the digest in two lines, and never a number that the logs do not have', () => {
  expect(usageLines(DIGEST)).toEqual([
    'Usage of 30.0 days: 1,234,567 calls, 12 failed, 2,000,000 tokens in, 300,000 out; p50 812 ms, p95 2,400 ms; at most 480 requests per minute',
    'Cost of 30 days: $1,235 now, $0.420 at the candidate (saves 34.2%): high priority',
  ]);
  const bare = { ...DIGEST, inputTokens: null, failed: null, latencyMs: null, peak: null };
  expect(usageLines({ ...bare, legacyMonthlyUsd: null })).toEqual([
    'Usage of 30.0 days: 1,234,567 calls, tokens not in these logs',
  ]);
});

function providers(over: Partial<AssessmentSummary> = {}): AssessmentSummary {
  return {
    outcome: 'pass',
    blockers: [],
    warnings: ['slow'],
    sentence: 'both providers answer',
    probes: { legacy: NO_PROBES, candidate: NO_PROBES },
    saltBalanced: true,
    ...over,
  };
}

function found(...findings: Finding[]): UsageFindings {
  return { digest: DIGEST, findings };
}

const DIGEST: UsageDigest = {
  sha256: 'ab',
  madeAt: '2026-11-02T08:00:00.000Z',
  verdict: 'pass',
  files: 1,
  rows: 1_234_567,
  rejectedRows: 0,
  fromMs: 0,
  toMs: 1,
  days: 30,
  calls: 1_234_567,
  inputTokens: 2_000_000,
  cachedTokens: null,
  outputTokens: 300_000,
  failed: 12,
  latencyMs: { p50: 812.4, p95: 2400, p99: 9000 },
  peak: { requestsPerMinute: 480, tokensPerMinute: null },
  models: [{ model: 'gpt-4o', calls: 1_234_567 }],
  legacyMonthlyUsd: 1234.5,
  candidateMonthlyUsd: { usd: 0.42, lowUsd: 0.4, highUsd: 0.5 },
  savingPercent: { percent: 34.2, low: 30, high: 40 },
  recommendation: { priority: 'high', sentence: 'The candidate saves 34.2%.' },
};

describe('whether keys split the traffic fairly', () => {
  const seen = (keyedRequests: number, keyed: number) => {
    const keys = { distinct: 3, heaviestShare: 0.5, keyedRequests, openings: { keyed, shared: 0 } };
    return assessSplit('body', [{ keys: { ...keys, aaLow: 0, aaTotal: 0 } } as GatewayStatus]);
  };

  it('doubts few keys that callers name', () => {
    expect(seen(100, 90)).toEqual([
      { kind: 'doubt', text: expect.stringMatching(/^3 assignment keys seen, at least 200 needed/) },
    ]);
  });

  it('does not where all keys are beginnings of conversations', () => {
    expect(seen(100, 100)).toEqual([]);
  });
});
