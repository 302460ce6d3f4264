import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { registerAssess } from '../../../src/cli/prepare/assess';
import { built } from '../../support/cli';
import { startFakeProvider } from '../../support/providers/fake-provider';
import { writeLongLog } from '../../support/usage-analysis';

const USAGE = join(__dirname, '../../../examples/usage');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'assess-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  process.exitCode = 0;
});

/** What the latest run said beside its result. */
let notes: string[] = [];

async function run(...words: string[]): Promise<string> {
  const written: string[] = [];
  notes = [];
  const spies = [
    jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    }),
    jest.spyOn(process.stderr, 'write').mockImplementation((text) => {
      notes.push(String(text));
      return true;
    }),
  ];
  try {
    const program = new Command().exitOverride();
    registerAssess(program);
    for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => {} });
    await program.parseAsync(['assess', ...words], { from: 'user' });
    return written.join('');
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

const gateway = join(USAGE, 'gateway.jsonl');
const candidate = ['--candidate-price', '0.1,0.2', '--mapping', 'gpt-4o=deepseek-chat'];

it('prints usage when no candidate is named', async () => {
  const text = await run(gateway);
  expect(text).toContain('Cutover gateway request log (detected)');
  expect(text).toContain('latency: p50');
  expect(text).not.toContain('Cost of 30 days');
});

it('prints cost, prices and readiness for a candidate', async () => {
  const text = await run(gateway, ...candidate);
  expect(text).toContain('high priority');
  expect(text).toContain('command line');
  expect(text).toContain('Readiness: hold');
});

it('writes JSON, Markdown and a page', async () => {
  const [html, markdown] = [join(folder, 'r.html'), join(folder, 'r.md')];
  const report = JSON.parse(
    await run(gateway, ...candidate, '--json', '--html', html, '--markdown', markdown),
  );
  expect(report.usage.totals).toMatchObject({ calls: 3, inputTokens: 1600, cachedTokens: 512 });
  expect(report.digest.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(html, 'utf8')).toContain('<figcaption>Cost by month, now and then');
  expect(readFileSync(markdown, 'utf8')).toMatch(/^# Assessment: hold\n/);
});

it('ends with 5 when a blocker rejects, and takes attestations by name', async () => {
  const text = await run(
    gateway,
    ...candidate,
    '--context-length',
    'deepseek-chat=1000',
    '--attest',
    'sla=yes',
    '--by',
    'ana',
  );
  expect(text).toContain('Verdict: rejected, with 1 blocker');
  expect(process.exitCode).toBe(5);
  expect(text).not.toContain("candidate's service level");
});

function configurationOf(candidateUrl: string, auth?: object): string {
  const path = join(folder, 'cutover.yaml');
  const provider = (baseUrl: string, model: string, price: number) => ({
    baseUrl,
    prices: { [model]: { inputPerMillion: price, outputPerMillion: price } },
  });
  writeFileSync(
    path,
    JSON.stringify({
      providers: {
        old: provider('http://127.0.0.1:1/v1', 'gpt-4o', 2),
        new: { ...provider(candidateUrl, 'deepseek-chat', 1), ...(auth === undefined ? {} : { auth }) },
      },
      routes: { chat: { legacy: 'old', candidate: 'new', models: { 'gpt-4o': 'deepseek-chat' } } },
      adminToken: 'env:ADMIN_TOKEN',
      gateways: [{ name: 'one', data: 'http://127.0.0.1:3', admin: 'http://127.0.0.1:4' }],
    }),
  );
  return path;
}

it('takes providers, mapping and prices from a route of the configuration', async () => {
  const route = ['--route', 'chat', '--config', configurationOf('http://127.0.0.1:2/v1')];
  const report = JSON.parse(await run(gateway, ...route, '--no-ask', '--json'));
  expect(report.route).toBe('chat');
  expect(report.projection.savingPercent.percent).toBeCloseTo(50, 6);
  expect(texts(report, 'doubt')).toContain('the candidate was not asked which models it serves');
  await expect(run(gateway, '--route', 'other', '--config', route[3] as string)).rejects.toThrow(
    'expected one of the routes (chat)',
  );
});

describe('the candidate of a route', () => {
  it('is asked for models and limits, and probed for what is in use, with its own key', async () => {
    process.env['ASSESS_TEST_KEY'] = 'sk-very-secret';
    const provider = await startFakeProvider({ models: ['deepseek-chat'], key: 'sk-very-secret' });
    try {
      const configuration = configurationOf(provider.url, { bearer: 'env:ASSESS_TEST_KEY' });
      const report = JSON.parse(await run(gateway, '--route', 'chat', '--config', configuration, '--json'));
      expect(provider.requests.map(({ path, status }) => `${path} ${status}`)).toEqual(
        expect.arrayContaining(['/v1/models 200', '/v1/chat/completions 200']),
      );
      expect(JSON.stringify(report)).not.toContain('sk-very-secret');
      expect(texts(report, 'doubt').join()).not.toMatch(/not asked|did not list/);
    } finally {
      await provider.stop();
      delete process.env['ASSESS_TEST_KEY'];
    }
  });

  it('is rejected when it does not serve the mapped model', async () => {
    const provider = await startFakeProvider({ models: ['something-else'] });
    try {
      const configuration = configurationOf(provider.url);
      const report = JSON.parse(await run(gateway, '--route', 'chat', '--config', configuration, '--json'));
      expect(texts(report, 'blocker')).toContain(
        'the candidate does not serve "deepseek-chat", which "gpt-4o" is mapped to',
      );
      expect(process.exitCode).toBe(5);
    } finally {
      await provider.stop();
    }
  });

  it('is sent nothing with --no-ask, and a missing key says so', async () => {
    const configuration = configurationOf('http://127.0.0.1:2/v1', { bearer: 'env:ASSESS_NO_SUCH_KEY' });
    await expect(run(gateway, '--route', 'chat', '--config', configuration)).rejects.toThrow(
      '--no-ask sends the candidate nothing',
    );
    expect(await run(gateway, '--route', 'chat', '--config', configuration, '--no-ask')).toContain(
      'Readiness',
    );
  });
});

describe('with a plan', () => {
  const CONFIGURATION = {
    providers: {
      old: {
        baseUrl: 'http://127.0.0.1:9/v1',
        prices: { 'gpt-4o': { inputPerMillion: 2, outputPerMillion: 2 } },
      },
      new: {
        baseUrl: 'http://127.0.0.1:9/v1',
        prices: { 'deepseek-chat': { inputPerMillion: 1, outputPerMillion: 1 } },
      },
    },
    routes: {
      chat: { legacy: 'old', candidate: 'new', models: { 'gpt-4o': 'deepseek-chat' }, shadow: 0.2 },
    },
    gateways: [{ name: 'one', data: 'http://127.0.0.1:3', admin: 'http://127.0.0.1:4' }],
  };

  function planned(fields: object): string[] {
    const [configuration, plan] = ['cutover.json', 'plan.json'].map((name) => join(folder, name)) as [
      string,
      string,
    ];
    writeFileSync(configuration, JSON.stringify(CONFIGURATION));
    writeFileSync(plan, JSON.stringify({ route: 'chat', ...fields }));
    return ['--plan', plan, '--config', configuration, '--json'];
  }

  it('says what the migration of the plan would be told', async () => {
    const stages = [
      { name: 'assess' },
      { name: 'small', share: '5%', soak: '10h' },
      { name: 'complete', share: '100%', soak: '2h' },
    ];
    const assess = { usage: [gateway], ask: false, targets: { saving: '60%' }, checklist: { attested: [] } };
    const report = JSON.parse(await run(...planned({ stages, assess })));
    expect(report.route).toBe('chat');
    expect(texts(report, 'blocker')).toEqual(['the candidate saves 50.0%, the plan demands 60%']);
    expect(process.exitCode).toBe(5);
    const how = (report.migrationCost as { item: string; how: string }[]).map(
      ({ item, how: text }) => `${item}: ${text}`,
    );
    expect(how).toEqual([
      "shadow: 20% of legacy's requests copied to the candidate during small (5%, 10 h)",
      'probes: 8,670 to each provider: plain, stream',
      'parity: no golden prompts are compared',
      "doubled requests: up to 10% of the candidate's requests during small (5%, 10 h) sent to legacy as well",
    ]);
  });

  it('takes other files in place of those that the plan names', async () => {
    const report = JSON.parse(
      await run(...planned({ assess: { usage: ['nowhere.csv'], ask: false } }), gateway, '--no-ask'),
    );
    expect(report.usage.totals.calls).toBe(3);
    expect(JSON.parse(await run(...planned({}), gateway, '--no-ask')).usage.totals.calls).toBe(3);
  });

  it('takes nothing else that the plan has', async () => {
    const words = planned({ assess: { usage: [gateway] } });
    await expect(run(...words, '--min-saving', '5')).rejects.toThrow(
      /'--plan <file>' cannot be used with option '--min-saving/,
    );
    await expect(run(...planned({}))).rejects.toThrow('names no usage logs (assess.usage): expected files');
  });
});

it("takes the candidate's tokens from a report of parity", async () => {
  const parity = join(folder, 'parity.json');
  const ratio = (middle: number) => ({ ratio: middle, least: middle - 0.1, most: middle + 0.3 });
  writeFileSync(parity, JSON.stringify({ outcome: 'pass', tokens: { input: ratio(1), output: ratio(2) } }));
  const words = [gateway, '--legacy', 'openai', ...candidate, '--warm-up-days', '0', '--json'];
  const plain = JSON.parse(await run(...words)).projection;
  const measured = JSON.parse(await run(...words, '--parity', parity)).projection;
  const { inputTokens, outputTokens } = JSON.parse(await run(gateway, '--json')).usage.totals;
  const costs = (input: number, output: number) =>
    (inputTokens * 0.1 * input + outputTokens * 0.2 * output) / (inputTokens * 0.1 + outputTokens * 0.2);
  expect(measured.candidate.monthly.usd / plain.candidate.monthly.usd).toBeCloseTo(costs(1, 2), 10);
  expect(measured.candidate.monthly.lowUsd / plain.candidate.monthly.usd).toBeCloseTo(costs(0.9, 1.9), 10);
  expect(measured.candidate.monthly.highUsd / plain.candidate.monthly.usd).toBeCloseTo(costs(1.3, 2.3), 10);
  expect(measured.assumptions.join()).toContain(
    "takes 1 (0.9 to 1.3) tokens of input and 2 (1.9 to 2.3) of output for one of legacy's, as measured by parity",
  );
  writeFileSync(parity, JSON.stringify({ outcome: 'pass', tokens: null }));
  await expect(run(...words, '--parity', parity)).rejects.toThrow('a provider did not count its tokens');
});

it.each(['SIGINT', 'SIGTERM'] as const)(
  'leaves no copy of the logs behind when it is stopped by %s',
  async (signal) => {
    const [log, temporary] = [join(folder, 'long.csv'), join(folder, 'tmp')];
    mkdirSync(temporary);
    await writeLongLog(log, 2_000_000);
    const running = spawn(process.execPath, [built('src', 'cli', 'main.js'), 'assess', log], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    running.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const ended = new Promise<number | null>((resolve) => running.once('close', resolve));
    const isReading = () =>
      readdirSync(temporary, { recursive: true }).some((name) => /staged-.*parquet$/.test(`${name}`));
    while (!isReading()) await sleep(20);
    running.kill(signal);
    expect(await ended).toBe(1);
    expect(said).toContain('interrupted');
    expect(readdirSync(temporary)).toEqual([]);
  },
);

it("fetches an organization's usage and costs, page by page, with an admin key", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost');
    asked.push(`${url.pathname} ${url.searchParams.get('page') ?? ''} ${request.headers.authorization}`);
    const file = url.pathname.endsWith('/costs') ? 'openai-costs.json' : 'openai-usage.json';
    const page = JSON.parse(readFileSync(join(USAGE, file), 'utf8'));
    const more = url.pathname.endsWith('/completions') && url.searchParams.get('page') === null;
    const data = url.pathname.endsWith('/embeddings') ? [{ ...page.data[0], results: [] }] : page.data;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ...page, data, has_more: more, next_page: more ? 'p2' : null }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  process.env['ASSESS_ADMIN_KEY'] = 'sk-admin-secret';
  try {
    const { port } = server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/v1/organization`;
    const words = ['--fetch-openai', '--openai-url', url, '--key', 'env:ASSESS_ADMIN_KEY'];
    const text = await run(...words, '--json');
    const { usage } = JSON.parse(text);
    expect(usage.totals).toMatchObject({ calls: 640, inputTokens: 300_000 });
    expect(usage.recordedCosts).toMatchObject([{ currency: 'USD', amount: expect.closeTo(0.52, 10) }]);
    expect(text).not.toContain('sk-admin-secret');
    expect(asked).toEqual([
      '/v1/organization/usage/completions  Bearer sk-admin-secret',
      '/v1/organization/usage/completions p2 Bearer sk-admin-secret',
      '/v1/organization/usage/embeddings  Bearer sk-admin-secret',
      '/v1/organization/costs  Bearer sk-admin-secret',
    ]);
  } finally {
    delete process.env['ASSESS_ADMIN_KEY'];
    server.close();
  }
});

it('says which part of the calls cost knows nothing of', async () => {
  const log = join(folder, 'gateway.jsonl');
  writeFileSync(
    log,
    readFileSync(gateway, 'utf8').replace('"tokensIn":600,"tokensCached":0,"tokensOut":90,', ''),
  );
  const text = await run(log, '--legacy', 'openai', ...candidate);
  expect(text).toContain('calls without token counts, which are in neither tokens nor cost: 1');
  expect(text).toContain('33.3% of the calls have no token counts: cost is that of the others');
});

it('names a few of many files, those with rejected rows first', async () => {
  const header =
    'request_created_at,latency,time_to_first_token,status,prompt_tokens,completion_tokens,model';
  const row = (at: number) => `2026-10-05T08:00:${String(at).padStart(2, '0')}Z,100,10,200,10,1,m`;
  for (let at = 0; at < 30; at += 1) {
    const rows = at === 17 ? [row(at), 'yesterday,1,1,200,1,1,m'] : [row(at)];
    writeFileSync(join(folder, `day-${at}.csv`), [header, ...rows, ''].join('\n'));
  }
  const text = await run(join(folder, '*.csv'), '--max-rejects', '0.5');
  expect(notes.join('')).toContain('30 files: Helicone requests (detected)');
  expect(text).toContain('and 10 more files with 10 rows, 0 of them rejected');
  const listed = text
    .split('\n')
    .filter((line) => line.includes('Helicone requests (detected)') && !line.includes('files'));
  expect(listed).toHaveLength(20);
  expect(listed[0]).toContain('day-17.csv');
});

interface Judged {
  readonly readiness: { readonly findings: readonly { readonly kind: string; readonly text: string }[] };
}

function texts({ readiness }: Judged, kind: string): string[] {
  return readiness.findings.filter((finding) => finding.kind === kind).map(({ text }) => text);
}

it.each([
  [[], 'expected at least one usage file'],
  [['nowhere.csv'], 'there is no file nowhere.csv'],
  [[gateway, '--mapping', 'a=b'], '--mapping needs'],
  [[gateway, '--candidate', 'nobody', '--mapping', 'gpt-4o=x'], 'no price for nobody, model "x"'],
  [[gateway, '--candidate-price', '1'], 'expected INPUT,OUTPUT'],
  [[gateway, '--from', 'yesterday'], 'expected a time'],
  [[gateway, '--attest', 'luck=yes'], 'expected ITEM=yes'],
  [[gateway, '--candidate-url', 'http://127.0.0.1:1'], 'needs --key'],
  [[gateway, ...candidate, '--ask'], '--ask needs --route'],
  [['--fetch-openai'], '--fetch-openai needs --key'],
  [[gateway, '--tokenizer-ratio', '2:1:3'], 'LOW:POINT:HIGH'],
])('refuses %j', async (words, message) => {
  await expect(run(...words)).rejects.toThrow(message);
});

it('keeps a key out of messages', async () => {
  process.env['ASSESS_TEST_KEY'] = 'sk-very-secret';
  try {
    const text = await run(
      gateway,
      ...candidate,
      '--candidate-url',
      'http://127.0.0.1:1/v1',
      '--key',
      'env:ASSESS_TEST_KEY',
    );
    expect(text).toContain('the candidate did not list its models');
    expect(text).not.toContain('sk-very-secret');
  } finally {
    delete process.env['ASSESS_TEST_KEY'];
  }
});
