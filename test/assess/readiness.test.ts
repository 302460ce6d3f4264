import { evaluateReadiness, type ReadinessFacts } from '../../src/assess/readiness';
import type { UsageAnalysis } from '../../src/assess/usage/usage-analysis';
import { ATTESTATION_ITEMS } from '../../src/core/plan/assess-plan';

it('passes when everything was asked, probed and attested', () => {
  expect(judge({})).toEqual({ verdict: 'pass', findings: [] });
});

it('holds for an operator until every item is attested', () => {
  const { verdict, findings } = judge({ attestations: [] });
  expect(verdict).toBe('hold');
  expect(findings.map(({ kind }) => kind)).toEqual(ATTESTATION_ITEMS.map(() => 'approval'));
  expect(judge({ attestations: [], demands: { attested: [] } }).verdict).toBe('pass');
});

it('rejects what an operator denies, naming who and when', () => {
  const attestations = [{ item: 'sla' as const, holds: false, by: 'ana', on: '2026-11-02' }];
  expect(texts(judge({ attestations }), 'blocker')).toEqual([
    expect.stringContaining('No, says ana on 2026-11-02'),
  ]);
});

it('holds for a further point of the plan, and says who is asked', () => {
  const further = [
    { text: 'Is the budget there?', attestedBy: 'ben' },
    { text: 'Has legal agreed?', attestedBy: null },
  ];
  expect(judge({ demands: { further, asks: 'ana' } })).toEqual({
    verdict: 'hold',
    findings: [{ kind: 'approval', item: 'point-2', text: 'Has legal agreed?', asks: 'ana' }],
  });
});

it.each<[string, Partial<ReadinessFacts>, 'blocker' | 'doubt' | 'warning', string]>([
  [
    'a model that the candidate does not serve',
    { candidateModels: { ok: true, error: null, models: ['else'] }, features: new Map() },
    'blocker',
    'does not serve "new"',
  ],
  ['a candidate that was not asked', { candidateModels: null }, 'doubt', 'was not asked'],
  [
    'a candidate that does not answer',
    { candidateModels: { ok: false, error: 'timeout', models: null } },
    'doubt',
    'did not list its models: timeout',
  ],
  ['no mapped model', { modelMapping: new Map() }, 'blocker', 'no model in use is mapped'],
  [
    'a context that is too short',
    { contextLengths: new Map([['new', 8000]]) },
    'blocker',
    'takes 8000 tokens, the longest request of "old" has 9000',
  ],
  ['a context that is nearly full', { contextLengths: new Map([['new', 10_000]]) }, 'warning', 'fills 90%'],
  ['an unknown context', { contextLengths: new Map() }, 'doubt', 'is not known'],
  [
    'requests above the limit',
    { rateLimits: { requestsPerMinute: 99, tokensPerMinute: 1e9 } },
    'blocker',
    'peak of 100 requests per minute is above',
  ],
  [
    'tokens near the limit',
    { rateLimits: { requestsPerMinute: 1000, tokensPerMinute: 55_000 } },
    'warning',
    'above 80%',
  ],
  [
    'an unknown limit',
    { rateLimits: { requestsPerMinute: null, tokensPerMinute: 1e9 } },
    'warning',
    'is not known; the peak is 100',
  ],
  [
    'requests above what the answers speak of',
    {
      rateLimits: { requestsPerMinute: null, tokensPerMinute: null },
      toldLimits: { requestsPerMinute: 60, tokensPerMinute: 1e9 },
    },
    'doubt',
    "above the 60 that the candidate's answers mention",
  ],
  [
    'a feature in use that is not supported',
    { features: answers(false) },
    'blocker',
    'does not support tools',
  ],
  [
    'a feature in use that could not be determined',
    { features: answers(null) },
    'doubt',
    'could not be determined',
  ],
  ['a feature in use that was not probed', { features: new Map() }, 'doubt', 'was not probed for it'],
  ['a slow candidate', { measuredP50Ms: 700, demands: { maxP50Ms: 500 } }, 'blocker', 'is 700 ms'],
  ['a p50 not measured', { demands: { maxP50Ms: 500 } }, 'doubt', 'was not measured'],
  ['errors above the target', { demands: { maxErrorRate: 0.01 } }, 'warning', 'fails 2.00% of calls'],
  ['a saving not known', { demands: { minSavingPercent: 10 } }, 'doubt', 'the saving is not known'],
])('finds %s', (_, facts, kind, text) => {
  const judged = judge(facts);
  expect(texts(judged, kind)).toContainEqual(expect.stringContaining(text));
  expect(judged.verdict).toBe({ blocker: 'rejected', doubt: 'hold', warning: 'pass' }[kind]);
});

it('asks for the context of a model once, however many are mapped to it', () => {
  const byModel = [...usage.byModel, { ...usage.byModel[0], model: 'other', maxContextTokens: 50_000 }];
  const modelMapping = new Map([
    ['old', 'new'],
    ['other', 'new'],
  ]);
  const found = judge({
    usage: { ...usage, byModel } as UsageAnalysis,
    modelMapping,
    contextLengths: new Map(),
  });
  expect(texts(found, 'doubt')).toEqual([
    'the context length of "new" is not known; the longest request has 50000 tokens',
  ]);
});

it('warns when peaks are not in the sources', () => {
  expect(texts(judge({ usage: { ...usage, peak: null } }), 'warning')).toEqual([
    expect.stringContaining('not in these sources'),
  ]);
});

it('does not block on a missing feature that the log says nothing about', () => {
  const silent = { ...usage, features: [{ feature: 'tools' as const, calls: null }] };
  const judged = judge({ usage: silent, features: answers(false) });
  expect(judged.verdict).toBe('pass');
  expect(texts(judged, 'warning')).toEqual([expect.stringContaining('does not say whether it is used')]);
});

const usage = {
  byModel: [{ model: 'old', maxContextTokens: 9000 }],
  features: [
    { feature: 'tools', calls: 3 },
    { feature: 'vision', calls: 0 },
  ],
  peak: { requestsPerMinute: 100, requestsAtMs: 0, tokensPerMinute: 50_000, tokensAtMs: 0 },
  totals: { calls: 100, failed: 2 },
} as unknown as UsageAnalysis;

function answers(supported: boolean | null): ReadinessFacts['features'] {
  return new Map([['new', new Map([['tools' as const, { supported, detail: 'as probed' }]])]]);
}

function judge(over: Partial<ReadinessFacts>) {
  return evaluateReadiness({
    usage,
    projection: null,
    modelMapping: new Map([['old', 'new']]),
    candidateModels: { ok: true, error: null, models: ['new'] },
    features: answers(true),
    contextLengths: new Map([['new', 64_000]]),
    rateLimits: { requestsPerMinute: 1000, tokensPerMinute: 1e6 },
    toldLimits: { requestsPerMinute: null, tokensPerMinute: null },
    measuredP50Ms: null,
    attestations: ATTESTATION_ITEMS.map((item) => ({ item, holds: true, by: 'ana', on: '2026-11-02' })),
    demands: {},
    ...over,
  });
}

function texts({ findings }: ReturnType<typeof judge>, kind: string): string[] {
  return findings.filter((finding) => finding.kind === kind).map(({ text }) => text);
}
