import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { analyzeFiles, LAST_30_DAYS } from '../../support/usage-analysis';

const HEADER = 'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'analysis-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

async function analyze(lines: readonly string[], choice = LAST_30_DAYS, thresholds: number[] = []) {
  const path = join(folder, 'usage.csv');
  writeFileSync(path, `${[HEADER, ...lines].join('\n')}\n`);
  return analyzeFiles([path], { window: choice, contextThresholds: thresholds });
}

it('gives percentiles within 0.5% of the exact ones', async () => {
  // A long-tailed latency from a fixed sequence: no randomness.
  const latencies = Array.from({ length: 5000 }, (_, at) => Math.exp(4 + 3 * ((at * 0.618034) % 1) ** 2));
  const { analysis } = await analyze(
    latencies.map((latency) => `2026-10-05T08:00:00Z,${latency},1,200,1,1,m`),
  );
  const sorted = [...latencies].sort((a, b) => a - b);
  for (const [p, value] of [
    [0.5, analysis.latencyMs?.p50],
    [0.95, analysis.latencyMs?.p95],
    [0.99, analysis.latencyMs?.p99],
  ] as const) {
    const exact = sorted[Math.floor(p * sorted.length)] as number;
    expect(Math.abs((value ?? 0) / exact - 1)).toBeLessThanOrEqual(0.005001);
  }
});

it('has no number of calls where the files do not count them', async () => {
  const analyzeFile = async (name: string, content: string) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return (await analyzeFiles([path])).analysis;
  };
  const costs = {
    object: 'bucket',
    start_time: 1_791_158_400,
    end_time: 1_791_244_800,
    results: [
      { object: 'organization.costs.result', amount: { value: 0.5, currency: 'usd' }, line_item: 'x' },
    ],
  };
  const onlyCosts = await analyzeFile('costs.json', JSON.stringify({ object: 'page', data: [costs] }));
  expect(onlyCosts.totals.calls).toBeNull();
  expect(onlyCosts.recordedCosts).toMatchObject([{ amount: 0.5 }]);
  const uncounted = await analyzeFile(
    'amount.csv',
    'user_id,utc_date,model,api_key_name,api_key,type,price,amount\nu,2026-01-05,deepseek-chat,prod,sk,output_tokens,0.1,7\n',
  );
  expect(uncounted.totals).toMatchObject({ calls: null, outputTokens: 7 });
  expect(uncounted.byModel).toMatchObject([{ model: 'deepseek-chat', calls: null }]);
});

it('finds the busiest minute over all models and of each', async () => {
  const at = (time: string, model: string, tokens: number) =>
    `2026-10-05T${time}Z,1,1,200,${tokens},0,${model}`;
  const { analysis } = await analyze([
    at('08:00:00', 'a', 10),
    at('08:00:59', 'b', 10),
    at('08:01:00', 'a', 500),
    at('08:02:00', 'a', 10),
    at('08:02:30', 'a', 10),
    at('08:02:59', 'b', 10),
  ]);
  const minute = (value: number) => Date.UTC(2026, 9, 5, 8, value);
  expect(analysis.peak).toEqual({
    requestsPerMinute: 3,
    requestsAtMs: minute(2),
    tokensPerMinute: 500,
    tokensAtMs: minute(1),
  });
  expect(analysis.byModel.find(({ model }) => model === 'a')?.peak?.requestsPerMinute).toBe(2);
});

it('counts by day, by hour of the week from Monday, and by prompt size', async () => {
  const { analysis, cells } = await analyze(
    [
      '2026-10-05T00:30:00Z,1,1,200,100,5,m',
      '2026-10-05T00:31:00Z,1,1,500,300,5,m',
      '2026-10-11T23:59:59Z,1,1,200,900,5,m',
    ],
    LAST_30_DAYS,
    [200, 800],
  );
  expect(analysis.byDay.map(({ day, calls }) => [day, calls])).toEqual([
    ['2026-10-05', 2],
    ['2026-10-11', 1],
  ]);
  expect(analysis.byHourOfWeek?.[0]).toEqual({ calls: 2, tokens: 410 });
  expect(analysis.byHourOfWeek?.[167]).toEqual({ calls: 1, tokens: 905 });
  expect(cells.map(({ contextClass, inputTokens }) => [contextClass, inputTokens]).sort()).toEqual([
    [0, 100],
    [1, 300],
    [2, 900],
  ]);
  expect(analysis.byModel[0]).toMatchObject({ maxInputTokens: 900, maxContextTokens: 905, failed: 1 });
});

it('looks at the last 30 days by default and says what is outside', async () => {
  const { analysis } = await analyze([
    '2026-08-01T00:00:00Z,1,1,200,7,0,m',
    '2026-10-05T12:00:00Z,1,1,200,5,0,m',
  ]);
  expect(analysis.totals.inputTokens).toBe(5);
  expect(analysis.callsOutside).toBe(1);
});

it('looks at the window that was asked for', async () => {
  const lines = [1, 2, 3, 4].map((day) => `2026-10-0${day}T00:00:00Z,1,1,200,${day},0,m`);
  const { analysis } = await analyze(lines, {
    fromMs: Date.UTC(2026, 9, 2),
    toMs: Date.UTC(2026, 9, 4),
    days: 30,
  });
  expect(analysis.totals.inputTokens).toBe(5);
  expect(analysis.window.days).toBe(2);
  await expect(analyze(lines, { fromMs: Date.UTC(2027, 0, 1), toMs: null, days: 30 })).rejects.toThrow(
    'holds no usage',
  );
});

it('counts a log of days only by whole days', async () => {
  const { analysis } = await analyze(['2026-10-01,1,1,200,1,0,m', '2026-10-10,1,1,200,1,0,m']);
  expect(analysis.window.days).toBe(10);
});
