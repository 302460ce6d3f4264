import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AssessmentRequest, assessUsage } from '../../src/assess/assess-usage';
import { digestReport } from '../../src/assess/assessment-report';
import { assessmentDocument } from '../../src/assess/assessment-sections';
import { shown } from '../../src/assess/assessment-texts';
import { parsePriceBook } from '../../src/assess/prices/price-book-schema';
import { PriceFinder } from '../../src/assess/prices/price-finder';
import type { ProviderInquiry } from '../../src/assess/readiness';
import { NO_RATE_LIMITS } from '../../src/core/assessment/rate-limits';
import { reportHtml } from '../../src/report/report-html';
import { reportMarkdown } from '../../src/report/report-markdown';

const HOSTILE = '<img src=x onerror=alert(1)>|`x`';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'report-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const inquiry: ProviderInquiry = {
  listModels: async () => ({
    ok: true,
    error: null,
    models: ['new', 'new-embed'],
    contextLengths: new Map(),
  }),
  ping: async () => ({ p50Ms: 100, error: null, rateLimits: NO_RATE_LIMITS }),
  probeFeature: async (feature) => ({ supported: feature !== 'vision', detail: 'as probed' }),
};

async function report(over: Partial<AssessmentRequest> = {}, asked: ProviderInquiry | null = inquiry) {
  const file = join(folder, 'usage.jsonl');
  const line = (model: string, at: number, team: string) =>
    JSON.stringify({
      request_created_at: new Date(Date.UTC(2026, 9, 5) + at * 3_600_000).toISOString(),
      latency: 100 + at,
      time_to_first_token: null,
      status: 200,
      prompt_tokens: 1e6,
      prompt_cache_read_tokens: 0,
      completion_tokens: 0,
      model,
      properties: { team },
    });
  const lines = Array.from({ length: 73 }, (_, at) => line('old', at, 'search'));
  writeFileSync(file, [...lines, line(HOSTILE, 5, HOSTILE)].join('\n'));
  const price = (provider: string, model: string, input: number) => ({
    ...{ provider, model, input, output: input, source: 'test list', asOf: '2026-10-01' },
  });
  const prices = [price('legacy', 'old', 2), price('legacy', HOSTILE, 1), price('candidate', 'new', 1)];
  return assessUsage(
    {
      route: 'main',
      files: [file],
      load: { maxRejectShare: 0 },
      window: { fromMs: null, toMs: null, days: 30 },
      legacyProvider: 'legacy',
      candidate: { provider: 'candidate', modelMapping: new Map([['old', 'new']]), tokenRatios: null },
      warmUpDays: 0,
      migration: null,
      readiness: {
        contextLengths: new Map([['new', 2e6]]),
        rateLimits: { requestsPerMinute: 100, tokensPerMinute: 1e9 },
        measuredP50Ms: null,
        attestations: [],
        demands: { attested: [] },
      },
      ...over,
    },
    {
      finder: new PriceFinder([parsePriceBook({ version: 1, prices }, 'test')], null),
      inquiry: asked,
      now: new Date('2026-11-01T00:00:00Z'),
    },
  );
}

it('goes from files to a saving and a verdict', async () => {
  const { projection, readiness, usage } = await report();
  expect(usage.totals.calls).toBe(74);
  // 73 million tokens at 2 and one at 1, against 73 at 1 and one that stays with legacy; three days, scaled to 30.
  expect(projection?.legacy.monthly.usd).toBeCloseTo(1470, 6);
  expect(projection?.candidate.monthly.usd).toBeCloseTo(740, 6);
  expect(projection?.recommendation.priority).toBe('high');
  expect(readiness?.verdict).toBe('pass');
});

it('rejects, holds and passes by what the candidate says', async () => {
  const serving = (models: string[] | null): ProviderInquiry => ({
    ...inquiry,
    listModels: async () => ({
      ok: models !== null,
      error: models === null ? 'timeout' : null,
      models,
      contextLengths: new Map(),
    }),
  });
  expect((await report({}, serving(['else']))).readiness?.verdict).toBe('rejected');
  expect((await report({}, serving(null))).readiness?.verdict).toBe('hold');
  expect((await report({}, null)).readiness?.verdict).toBe('hold');
});

it('probes what is used or may be, and never what the log says is not', async () => {
  const probed: string[] = [];
  await report(
    {},
    {
      ...inquiry,
      probeFeature: async (feature, model) => {
        probed.push(`${feature} of ${model}`);
        return { supported: true, detail: '' };
      },
    },
  );
  expect(probed).toEqual(['streaming of new', 'tools of new', 'jsonSchema of new', 'vision of new']);
});

it('shows usage alone when no candidate is named', async () => {
  const found = await report({ candidate: null, readiness: null });
  expect(found.projection).toBeNull();
  expect(assessmentDocument(found).sections.map(({ title }) => title)).not.toContain('Cost of 30 days');
});

it('says what is not in the source, and never shows it as zero', async () => {
  const found = await report();
  const totals = assessmentDocument(found).sections.find(({ title }) => title.startsWith('Usage'));
  expect(totals?.lines).toContain('first token: not in this source');
});

it('shows usage by day, and by weekday with its busiest hour', async () => {
  const sections = assessmentDocument(await report()).sections;
  const rowsOf = (name: string) => sections.find(({ title }) => title.startsWith(name))?.table?.rows ?? [];
  expect(rowsOf('By day')[0]).toEqual(['2026-10-05', '25', '25,000,000', '0', '0', '0 (0.00%)']);
  expect(rowsOf('By day')).toHaveLength(4);
  expect(rowsOf('By weekday')[0]).toEqual(['Mon', '25', '25,000,000', '05:00', '2', '2,000,000']);
  expect(rowsOf('By weekday')[6]).toEqual(['Sun', '0', '0', '-', '-', '-']);
});

it('says in its summary what decides', async () => {
  const [summary] = assessmentDocument(await report({}, null)).sections;
  expect(summary?.lines).toEqual([
    'Verdict: hold, with 1 doubt, 2 warnings.',
    '30 days cost $1,470.00 now, and $740.00 at the candidate, extrapolated from 72 h of usage.',
    'The candidate saves 49.7%, $730.00 in 30 days; what the migration itself costs is not known. That is above 30%: high priority.',
  ]);
});

it('prints every price with its source and date', async () => {
  const prices = assessmentDocument(await report()).sections.find(({ title }) =>
    title.startsWith('Prices used'),
  );
  expect(prices?.table?.rows).toHaveLength(3);
  expect(prices?.table?.rows.every((row) => row.includes('test list') && row.includes('2026-10-01'))).toBe(
    true,
  );
});

it('makes one page that loads nothing and runs nothing, whatever the log says', async () => {
  const found = await report();
  const html = reportHtml(assessmentDocument(found), found.madeAt);
  expect(html).not.toContain('<img');
  expect(html).toContain('&#60;img src=x');
  expect(html).not.toMatch(/<script|<link|src=["']|href=|url\(/);
  expect(html).toContain("default-src 'none'");
  expect(html.match(/<figcaption>[^<]*/g)).toEqual([
    '<figcaption>Latency',
    '<figcaption>Tokens by day and model',
    '<figcaption>Calls by weekday and hour (UTC), at most 2',
    '<figcaption>Cost by month, now and then',
  ]);
});

it('keeps names within their cells in Markdown', async () => {
  const found = await report();
  const text = reportMarkdown(assessmentDocument(found));
  expect(text).toContain('\\<img src=x onerror=alert(1)\\>\\|\\`x\\`');
  const rows = text.split('\n').filter((line) => line.includes('onerror'));
  expect(rows.length).toBeGreaterThan(1);
});

it('makes control and direction characters visible', () => {
  expect(shown('a\u001b[31mb\u202ec\n')).toBe('a\\u001b[31mb\\u202ec\\u000a');
  expect(shown('x'.repeat(300))).toHaveLength(200);
});

it('gives history a small digest that changes with the report', async () => {
  const found = await report();
  const digest = digestReport(found);
  expect(digest).toMatchObject({ verdict: 'pass', calls: 74, recommendation: { priority: 'high' } });
  expect(digest.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(digestReport({ ...found, route: 'other' }).sha256).not.toBe(digest.sha256);
});
