import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fetchOpenAiUsage, type OpenAiFetch } from '../../../src/assess/usage/formats/openai-fetch';
import { readOpenAiUsage } from '../../../src/assess/usage/formats/openai-usage';

let server: Server;
let seen: { url: URL; authorization: string | undefined }[];
let answers: { status: number; body: unknown; headers?: Record<string, string> }[];

beforeEach(async () => {
  seen = [];
  server = createServer((request, response) => {
    seen.push({
      url: new URL(request.url ?? '', 'http://localhost'),
      authorization: request.headers.authorization,
    });
    const next = answers.shift() ?? { status: 500, body: {} };
    response
      .writeHead(next.status, { 'content-type': 'application/json', ...next.headers })
      .end(JSON.stringify(next.body));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});
afterEach(() => server.close());

function ask(over: Partial<OpenAiFetch> = {}): Promise<unknown[]> {
  const { port } = server.address() as AddressInfo;
  return fetchOpenAiUsage({
    what: 'usage/completions',
    fromMs: Date.UTC(2026, 9, 1),
    toMs: Date.UTC(2026, 9, 31),
    key: 'sk-admin',
    address: `http://127.0.0.1:${port}/v1/organization`,
    wait: async () => {},
    ...over,
  });
}

const page = (next: string | null) => ({
  object: 'page',
  data: [],
  has_more: next !== null,
  next_page: next,
});

it('follows the pages and says how many it has', async () => {
  answers = [
    { status: 200, body: page('p2') },
    { status: 200, body: page('p3') },
    { status: 200, body: page(null) },
  ];
  const progress: number[] = [];
  expect(await ask({ progress: (pages) => progress.push(pages) })).toHaveLength(3);
  expect(progress).toEqual([1, 2, 3]);
  expect(seen.map(({ url }) => url.searchParams.get('page'))).toEqual([null, 'p2', 'p3']);
  expect(seen[0]?.url.searchParams.getAll('group_by')).toEqual([
    'model',
    'project_id',
    'batch',
    'service_tier',
  ]);
  expect(seen[0]?.authorization).toBe('Bearer sk-admin');
});

it('waits as it is told when it asks too fast, and gives up after five times', async () => {
  const waits: number[] = [];
  answers = [
    { status: 429, body: {}, headers: { 'retry-after': '3' } },
    { status: 200, body: page(null) },
  ];
  await ask({ wait: async (ms) => void waits.push(ms) });
  expect(waits).toEqual([3000]);
  answers = [];
  await expect(ask()).rejects.toThrow('OpenAI answered 500 when asked for usage/completions');
  expect(seen).toHaveLength(2 + 5);
});

it('says that an admin key is needed, and not which key it had', async () => {
  answers = [{ status: 401, body: { error: { message: 'bad key sk-admin' } } }];
  const failure = await ask().catch((error: Error) => error.message);
  expect(failure).toBe(
    'OpenAI answered 401 when asked for usage/completions: organization usage needs an admin key',
  );
});

it('does not turn in circles', async () => {
  answers = [
    { status: 200, body: page('same') },
    { status: 200, body: page('same') },
  ];
  await expect(ask()).rejects.toThrow('the same page');
});

it('reads pages, lists of pages and lists of buckets alike', () => {
  const document = JSON.parse(
    readFileSync(join(__dirname, '../../../examples/usage/openai-usage.json'), 'utf8'),
  );
  const whole = readOpenAiUsage(document, 'a');
  expect(readOpenAiUsage([document], 'a')).toEqual(whole);
  expect(readOpenAiUsage(document.data, 'a')).toEqual(whole);
  expect(whole.buckets[1]).toMatchObject({ serviceTier: 'batch', caller: 'proj_batch', calls: 40 });
});

it('refuses usage that is not grouped by model, and documents that are none', () => {
  const result = {
    object: 'organization.usage.completions.result',
    input_tokens: 5,
    num_model_requests: 1,
    model: null,
  };
  const bucket = { object: 'bucket', start_time: 1, end_time: 2, results: [result] };
  expect(() => readOpenAiUsage([bucket], 'a.json')).toThrow('ask for it with group_by=model');
  expect(() => readOpenAiUsage({ object: 'list' }, 'a.json')).toThrow(
    "a.json is not a page of OpenAI's usage",
  );
  expect(() =>
    readOpenAiUsage([{ ...bucket, results: [{ ...result, input_tokens: -5 }] }], 'a.json'),
  ).toThrow('is neither usage nor costs');
});
