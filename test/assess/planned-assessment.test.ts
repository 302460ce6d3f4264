import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { providerInquiry } from '../../src/adapters/openai/provider-inquiry';
import { assessAsPlanned } from '../../src/assess/planned-assessment';
import { readDocument } from '../../src/config';
import type { UsageFindings } from '../../src/core/assessment/usage-digest';
import { configurationSchema } from '../../src/core/configuration/configuration-schema';
import { planSchema } from '../../src/core/plan/plan-schema';
import { startFakeProvider } from '../support/providers/fake-provider';

const USAGE = join(__dirname, '../../examples/usage/gateway.jsonl');
const ATTESTED = ['sla', 'dataResidency', 'payment', 'contract'].map((item) => ({
  item,
  by: 'ana',
  on: '2026-11-02',
}));
const SETTLED = {
  usage: [USAGE],
  ask: false,
  attestations: ATTESTED,
  contextLengths: { 'deepseek-chat': 128_000, 'text-embedding-3-small': 8_000 },
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'planned-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const price = (usd: number) => ({ inputPerMillion: usd, outputPerMillion: usd });

async function assess(
  fields: Readonly<Record<string, unknown>> = {},
  candidateUrl = 'http://127.0.0.1:9/v1',
  signal = new AbortController().signal,
  read: (path: string) => unknown = readDocument,
): Promise<UsageFindings> {
  const { assess: plan } = planSchema.parse({ route: 'chat', assess: { ...SETTLED, ...fields } });
  if (plan === undefined) throw new Error('expected a plan that reads usage');
  const configuration = configurationSchema.parse({
    providers: {
      old: { baseUrl: 'http://127.0.0.1:9/v1', prices: { 'gpt-4o': price(2) } },
      new: { baseUrl: candidateUrl, prices: { 'deepseek-chat': price(1) } },
    },
    routes: { chat: { legacy: 'old', candidate: 'new', models: { 'gpt-4o': 'deepseek-chat' } } },
    gateways: [{ name: 'one', data: 'http://127.0.0.1:3', admin: 'http://127.0.0.1:4' }],
  });
  return assessAsPlanned('chat', plan, {
    configuration,
    inquire: (provider) => providerInquiry(provider, () => 'sk-secret'),
    readDocument: read,
    effort: null,
    now: new Date('2026-11-02T08:00:00Z'),
    signal,
  });
}

const texts = ({ findings }: UsageFindings, kind: string) =>
  findings.filter((finding) => finding.kind === kind).map(({ text }) => text);

it('gives the digest of what the command would report, at prices of the configuration', async () => {
  const { digest } = await assess();
  expect(digest).toMatchObject({ calls: 3, inputTokens: 1600, cachedTokens: 512, files: 1, rejectedRows: 0 });
  expect(digest?.savingPercent?.percent).toBeCloseTo(50, 6);
  expect(digest?.recommendation?.priority).toBe('high');
});

it('asks for what nobody has attested', async () => {
  const found = await assess({
    attestations: [],
    checklist: { attested: ['sla'], further: [{ text: 'Has legal agreed?' }], asks: 'ana' },
  });
  expect(found.findings.filter(({ kind }) => kind === 'approval')).toEqual([
    { kind: 'approval', item: 'sla', text: expect.stringContaining('service level'), asks: 'ana' },
    { kind: 'approval', item: 'point-1', text: 'Has legal agreed?', asks: 'ana' },
  ]);
});

it("takes the candidate's tokens from a report of parity, and holds for one that has none", async () => {
  const parity = join(folder, 'parity.json');
  const ratio = { ratio: 2, least: 1.5, most: 2.5 };
  writeFileSync(parity, JSON.stringify({ tokens: { input: ratio, output: ratio } }));
  const { digest } = await assess({ parityReport: parity, warmUpDays: 0 });
  expect(digest?.savingPercent).toEqual({ percent: 0, low: -25, high: 25 });
  writeFileSync(parity, JSON.stringify({ tokens: null }));
  expect(texts(await assess({ parityReport: parity }), 'doubt')).toEqual([
    `usage: ${parity} has no token ratio: a provider did not count its tokens`,
  ]);
});

it('rejects by a target that is missed', async () => {
  expect(texts(await assess({ targets: { saving: '60%' } }), 'blocker')).toEqual([
    'the candidate saves 50.0%, the plan demands 60%',
  ]);
});

it('asks the real candidate for models, features and its p50', async () => {
  const provider = await startFakeProvider({ models: ['deepseek-chat'] });
  try {
    const found = await assess({ ask: true, targets: { p50: '10s' } }, provider.url);
    expect(texts(found, 'doubt').filter((text) => !text.includes('text-embedding'))).toEqual([]);
    const asked = provider.requests.map(({ path }) => path);
    expect(asked).toContain('/v1/models');
    expect(asked.filter((path) => path === '/v1/chat/completions').length).toBeGreaterThanOrEqual(30);
    provider.behaviour.latencyMs = 50;
    expect(
      texts(await assess({ ask: true, targets: { p50: '5ms' } }, provider.url), 'blocker'),
    ).toContainEqual(expect.stringMatching(/p50 is \d+ ms, the plan allows 5 ms/));
  } finally {
    await provider.stop();
  }
});

it.each<[string, Readonly<Record<string, unknown>>, string]>([
  [
    'a log that is not there',
    { usage: ['/nowhere/usage.csv'] },
    'usage: there is no file /nowhere/usage.csv',
  ],
  [
    'a price book that is not there',
    { prices: ['/nowhere/prices.yaml'] },
    'usage: cannot read /nowhere/prices.yaml',
  ],
  ['a mapping that is none', { mapping: [USAGE] }, 'gateway.jsonl: (file) is neither YAML nor JSON'],
  ['a format that nobody knows', { format: 'unheard' }, 'expected one of the formats'],
])('holds with a doubt over %s', async (_, fields, text) => {
  const found = await assess(fields);
  expect(found.digest).toBeNull();
  expect(found.findings).toEqual([{ kind: 'doubt', text: expect.stringContaining(text) }]);
});

it('keeps rows of a broken log out of what is found', async () => {
  const path = join(folder, 'broken.csv');
  const header =
    'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';
  writeFileSync(path, `${header}\nprivate words,1,1,200,a secret,1,gpt-4o\n`);
  const { findings } = await assess({ usage: [path] });
  expect(texts({ digest: null, findings }, 'doubt')).toEqual([
    expect.stringMatching(/^usage: .*broken\.csv: 1 of 1 rows were rejected, at most 1% may be$/),
  ]);
});

it('holds with a doubt over a model without a price', async () => {
  const path = join(folder, 'usage.jsonl');
  writeFileSync(path, readFileSync(USAGE, 'utf8').replaceAll('gpt-4o', 'unheard-of'));
  expect(texts(await assess({ usage: [path] }), 'doubt')).toEqual([
    expect.stringContaining('no price for old, model "unheard-of'),
  ]);
});

it('stays under 8 KB, weightiest findings first, and never forgets that there were more', async () => {
  const path = join(folder, 'many.csv');
  const header =
    'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';
  const rows = Array.from(
    { length: 500 },
    (_, index) => `2026-10-05T08:00:00Z,100,10,200,10,1,${'模型'.repeat(80)}${index}`,
  );
  writeFileSync(path, [header, ...rows, '2026-10-05T08:00:00Z,100,10,200,10,1,gpt-4o', ''].join('\n'));
  const book = join(folder, 'book.json');
  const models = rows.map((row) => row.split(',')[6] as string);
  const prices = models.map((model) => ({
    provider: 'old',
    model,
    input: 1,
    output: 1,
    source: 'test',
    asOf: '2026-11-02',
  }));
  writeFileSync(book, JSON.stringify({ version: 1, prices }));
  const found = await assess({ usage: [path], prices: [book], attestations: [] });
  expect(Buffer.byteLength(JSON.stringify(found))).toBeLessThan(8_192);
  expect(found.findings[0]?.kind).toBe('approval');
  expect(found.findings.at(-1)?.text).toMatch(/^\d{3} more: see the whole report$/);
});

it('writes the whole report where the plan wants it', async () => {
  const report = join(folder, 'reports', 'chat');
  const { digest } = await assess({ report });
  const written = JSON.parse(readFileSync(join(report, 'assessment-chat.json'), 'utf8'));
  expect(written.usage.totals.calls).toBe(digest?.calls);
  expect(existsSync(join(report, 'assessment-chat.html'))).toBe(true);
});

it('stops when it is told to', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(assess({}, undefined, signal)).rejects.toThrow('enough');
});

it('does not take a defect of ours for a doubt about the logs', async () => {
  const defect = () => {
    throw new RangeError('expected a margin above 0, got 0');
  };
  await expect(assess({ prices: ['prices.yaml'] }, undefined, undefined, defect)).rejects.toThrow(RangeError);
});
