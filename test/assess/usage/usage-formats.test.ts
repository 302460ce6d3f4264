import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { BUILT_IN_MAPPINGS } from '../../../src/assess/usage/formats/built-in-mappings';
import { type Mapping, parseMapping } from '../../../src/assess/usage/formats/mapping-schema';
import type { UsageAnalysis } from '../../../src/assess/usage/usage-analysis';
import { analyzeFiles } from '../../support/usage-analysis';

const EXAMPLES = join(__dirname, '../../../examples/usage');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'formats-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function analyze(file: string, mappings: readonly Mapping[] = []): Promise<UsageAnalysis> {
  return (await analyzeFiles([join(EXAMPLES, file)], { load: { mappings } })).analysis;
}

/** Sums of the sample files, computed by hand: [calls, input, cached, output, failed]. */
const BY_HAND: [file: string, format: string, skipped: number, sums: (number | null)[]][] = [
  // The answer from the proxy's own cache reached no provider.
  ['litellm.csv', 'litellm', 1, [4, 2800, 600, 180, 1]],
  // So do Helicone's, since it tells cached input apart.
  ['helicone.jsonl', 'helicone', 0, [3, 1200, 256, 180, 1]],
  // Its buckets exclude each other: cached input and reasoning come on top of input and output.
  ['langfuse.json', 'langfuse', 1, [2, 1000, 512, 200, 1]],
  ['openrouter.csv', 'openrouter', 0, [3, 4900, 500, 700, 1]],
  ['otel-spans.jsonl', 'otel-spans', 1, [2, 1500, 1024, 100, 1]],
  ['otlp.jsonl', 'otel-otlp', 1, [2, 1500, null, 70, 1]],
  // Azure's logs carry no tokens at all.
  ['azure.jsonl', 'azure', 1, [3, null, null, null, 1]],
  ['gateway.jsonl', 'gateway', 2, [3, 1600, 512, 240, 1]],
  ['openai-usage.json', 'openai-usage', 0, [320, 150_000, 30_000, 19_000, null]],
  ['deepseek-export.zip', 'deepseek', 0, [320, 105_000, 40_000, 21_000, null]],
  ['deepseek-older.csv', 'deepseek', 0, [9, 8000, null, 700, null]],
];

it('has an example of every format that is read', () => {
  const shown = BY_HAND.map(([, format]) => format);
  expect(BUILT_IN_MAPPINGS.map(({ format }) => format).filter((format) => !shown.includes(format))).toEqual(
    [],
  );
});

it.each(BY_HAND)('%s is detected as %s and adds up as by hand', async (file, format, skipped, sums) => {
  const { sources, totals } = await analyze(file);
  expect(sources).toMatchObject([{ format, skipped, chosen: 'detected', rejects: { total: 0 } }]);
  expect([totals.calls, totals.inputTokens, totals.cachedTokens, totals.outputTokens, totals.failed]).toEqual(
    sums,
  );
});

it('LiteLLM gives latency, first token, callers and cost', async () => {
  const analysis = await analyze('litellm.csv');
  expect(analysis.latencyMs?.count).toBe(4);
  near(analysis.latencyMs?.p99, 2500);
  near(analysis.firstTokenMs?.p99, 400);
  // An answer that was not streamed has its end for its first token: it has none.
  expect(analysis.firstTokenMs?.count).toBe(1);
  expect(analysis.byCaller?.map(({ caller, calls }) => [caller, calls])).toEqual([
    ['search', 2],
    ['91aa77b2', 1],
    ['support', 1],
  ]);
  expect(analysis.recordedCosts).toEqual([
    { currency: 'USD', amount: expect.closeTo(0.00562, 8), where: 'the rows of the log' },
  ]);
  expect(analysis.features).toContainEqual({ feature: 'embeddings', calls: 1 });
  expect(analysis.features).toContainEqual({ feature: 'vision', calls: null });
});

it('Helicone costs are billionths of a dollar', async () => {
  const { recordedCosts, byCaller } = await analyze('helicone.jsonl');
  expect(recordedCosts[0]?.amount).toBeCloseTo(0.0048, 10);
  expect(byCaller?.map(({ caller }) => caller).sort()).toEqual(['OPENAI', 'search', 'support']);
});

it('Helicone rows of the API are told as those of its table', async () => {
  const file = join(folder, 'rows.jsonl');
  const row = {
    ...{
      request_created_at: '2026-10-05T08:00:00.000Z',
      response_status: 500,
      model: 'gpt-4o',
      delay_ms: 1200,
    },
    ...{ prompt_tokens: 70, prompt_cache_read_tokens: 30, completion_tokens: 9, time_to_first_token: null },
    request_properties: { team: 'search' },
  };
  writeFileSync(file, JSON.stringify(row));
  const { analysis } = await analyzeFiles([file]);
  expect(analysis.sources).toMatchObject([
    { format: 'helicone', carried: expect.arrayContaining(['latency', 'failed']) },
  ]);
  expect(analysis.totals).toMatchObject({ calls: 1, inputTokens: 100, cachedTokens: 30, failed: 1 });
  expect(analysis.byCaller).toMatchObject([{ caller: 'search' }]);
  near(analysis.latencyMs?.p50, 1200);
});

it('Langfuse seconds become milliseconds', async () => {
  const { latencyMs, firstTokenMs } = await analyze('langfuse.json');
  near(latencyMs?.p99, 2000);
  near(firstTokenMs?.p50, 400);
});

it('OTLP nanoseconds become times and durations', async () => {
  const { latencyMs, firstTokenMs, byDay } = await analyze('otlp.jsonl');
  near(latencyMs?.p99, 1500);
  near(firstTokenMs?.p50, 250);
  expect(byDay[0]?.day).toBe('2026-10-05');
});

it('Azure counts a negative duration as a call without a latency', async () => {
  const { latencyMs, sources, totals, features } = await analyze('azure.jsonl');
  expect(sources[0]?.ignoredLatencies).toBe(1);
  expect(latencyMs?.count).toBe(2);
  expect(totals.calls).toBe(3);
  expect(features).toContainEqual({ feature: 'streaming', calls: 1 });
});

it('a time may be ISO 8601 in one row and an epoch of any unit in another', async () => {
  const at = Date.UTC(2026, 9, 5, 8);
  const times = ['2026-10-05T08:00:00Z', '2026-10-05T10:00:00+02:00', at / 1e3, at, at * 1e3, `${at}000000`];
  const fields = { time: { from: ['t'], as: 'auto' }, model: { from: ['m'] } };
  const mapping = parseMapping({ format: 'own', title: 'Own', fields }, 'own');
  const file = join(folder, 'times.jsonl');
  writeFileSync(file, times.map((t) => JSON.stringify({ t, m: 'x' })).join('\n'));
  const { analysis } = await analyzeFiles([file], { load: { mappings: [mapping] } });
  expect(analysis.sources).toMatchObject([{ rows: 6, firstMs: at, lastMs: at }]);
});

it('the gateway log tells features, and what is no call', async () => {
  const { window, byModel, features } = await analyze('gateway.jsonl');
  expect(features).toContainEqual({ feature: 'tools', calls: 1 });
  expect(features).toContainEqual({ feature: 'vision', calls: 0 });
  expect(new Date(window.toMs).toISOString()).toBe('2026-10-05T08:01:00.001Z');
  expect(byModel[0]?.peak).toMatchObject({ requestsPerMinute: 2, tokensPerMinute: 1840 });
});

it('counts the calls whose tokens nobody told, but for those that failed', async () => {
  const log = readFileSync(join(EXAMPLES, 'gateway.jsonl'), 'utf8');
  const file = join(folder, 'gateway.jsonl');
  writeFileSync(file, log.replace('"tokensIn":600,"tokensCached":0,"tokensOut":90,', ''));
  const { analysis } = await analyzeFiles([file]);
  expect(analysis.sources).toMatchObject([{ untold: 1 }]);
  expect(analysis.totals).toMatchObject({ calls: 3, inputTokens: 1000 });
  expect((await analyze('gateway.jsonl')).sources).toMatchObject([{ untold: 0 }]);
  // A source without tokens at all says so of all its figures.
  expect((await analyze('azure.jsonl')).sources).toMatchObject([{ untold: 0 }]);
});

it('OpenAI usage has no latency, no peak, and keeps batch and default apart', async () => {
  const analysis = await analyze('openai-usage.json');
  expect([analysis.latencyMs, analysis.peak, analysis.byHourOfWeek, analysis.promptTokens]).toEqual([
    null,
    null,
    null,
    null,
  ]);
  expect(analysis.window.days).toBe(2);
  expect(analysis.byModel.map(({ model, calls }) => [model, calls])).toEqual([
    ['gpt-4o-2024-11-20', 280],
    ['gpt-4o-mini-2024-07-18', 40],
  ]);
});

it('OpenAI costs and usage complete each other', async () => {
  const files = ['openai-usage.json', 'openai-costs.json'].map((file) => join(EXAMPLES, file));
  const { analysis } = await analyzeFiles(files);
  expect(analysis.totals.calls).toBe(320);
  expect(analysis.recordedCosts).toEqual([
    {
      currency: 'USD',
      amount: expect.closeTo(0.52, 10),
      where: expect.stringContaining('organization costs'),
    },
  ]);
});

it('OpenAI embeddings are told apart, and buckets in which nothing was used add nothing', async () => {
  const bucket = { object: 'bucket', start_time: 1_791_158_400, end_time: 1_791_244_800 };
  const result = {
    object: 'organization.usage.embeddings.result',
    ...{ input_tokens: 700, num_model_requests: 5, model: 'text-embedding-3-small', project_id: 'p' },
  };
  const files = [[result], []].map((results, at) => {
    const file = join(folder, `${at}.json`);
    writeFileSync(file, JSON.stringify({ object: 'page', data: [{ ...bucket, results }] }));
    return file;
  });
  const { analysis } = await analyzeFiles([join(EXAMPLES, 'openai-usage.json'), ...files]);
  expect(analysis.sources.map(({ format, rows }) => [format, rows])).toEqual([
    ['openai-usage', 3],
    ['openai-usage', 1],
    ['openai-usage', 0],
  ]);
  expect(analysis.totals).toMatchObject({ calls: 325, inputTokens: 150_700 });
  expect(analysis.features.find(({ feature }) => feature === 'embeddings')?.calls).toBe(5);
});

it('DeepSeek costs keep their currency', async () => {
  const { recordedCosts } = await analyze('deepseek-export.zip');
  expect(recordedCosts).toMatchObject([{ currency: 'CNY', amount: expect.closeTo(0.53, 10) }]);
});

it("a user's own mapping reads any CSV", async () => {
  const mapping = parseMapping(
    parse(readFileSync(join(EXAMPLES, 'own-mapping.yaml'), 'utf8')),
    'own-mapping.yaml',
  );
  const { totals, latencyMs } = await analyze('own.csv', [mapping]);
  expect(totals).toEqual({
    calls: 2,
    inputTokens: 3000,
    cachedTokens: 1500,
    outputTokens: 300,
    failed: null,
  });
  near(latencyMs?.p99, 2500);
});

function near(value: number | undefined, exact: number): void {
  expect(Math.abs((value ?? 0) / exact - 1)).toBeLessThanOrEqual(0.0051);
}
