import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registerPrices } from '../../../src/cli/prepare/prices';
import { runCommand } from '../../support/command-run';
import { startFakeProvider } from '../../support/providers/fake-provider';

const EXAMPLES = join(__dirname, '../../../examples/prices');
const BOOK = join(EXAMPLES, 'price-book.yaml');

afterEach(() => {
  process.exitCode = 0;
});

const run = (...words: string[]) => runCommand(registerPrices, 'prices', ...words);

it('shows a price at a moment with source and date', async () => {
  const text = await run('show', 'deepseek-v4-flash', '--prices', BOOK, '--at', '2026-11-02T07:00:00Z');
  expect(text).toContain('0.44 USD  0.014 USD     1.32 USD');
  expect(text).toContain('as of 2026-10-01');
});

it('shows a price in its own currency with the dated rate', async () => {
  const text = await run('show', 'example-large', '--prices', BOOK, '--tier', 'batch');
  expect(text).toContain('2 CNY');
  expect(text).toContain('1 CNY = $0.14 on 2026-10-01');
});

it('measures the claimed providers that the configuration has', async () => {
  const provider = await startFakeProvider({ models: ['m'] });
  const folder = mkdtempSync(join(tmpdir(), 'compare-'));
  try {
    const [claims, configuration] = ['claims.json', 'cutover.json'].map((name) => join(folder, name)) as [
      string,
      string,
    ];
    const claim = (name: string, p50Ms: number) => ({ provider: name, title: name, model: 'm', p50Ms });
    const written = {
      source: 'a page',
      asOf: '2026-11-01',
      claims: [claim('here', 0.001), claim('elsewhere', 5)],
    };
    writeFileSync(claims, JSON.stringify(written));
    const providers = { here: { baseUrl: provider.url }, other: { baseUrl: 'http://127.0.0.1:9/v1' } };
    const routes = { chat: { legacy: 'other', candidate: 'here', models: { m: 'm' } } };
    const gateways = [{ name: 'one', data: 'http://127.0.0.1:3', admin: 'http://127.0.0.1:4' }];
    writeFileSync(configuration, JSON.stringify({ providers, routes, gateways }));
    const { providers: rows } = JSON.parse(
      await run('compare', claims, '--probe', '--config', configuration, '--json'),
    );
    expect(rows[0]).toMatchObject({ provider: 'here', measuredP50: { count: 30 } });
    expect(rows[0].contradictions).toEqual([expect.stringMatching(/^p50 claimed 0.001 ms, measured \d/)]);
    expect(rows[1]).toMatchObject({ provider: 'elsewhere', measuredP50: null, contradictions: [] });
    expect(process.exitCode).toBe(5);
    expect(provider.requests).toHaveLength(30);
    const article = join(EXAMPLES, 'article-claims.yaml');
    await expect(run('compare', article, '--probe', '--config', configuration)).rejects.toThrow(
      'expected one of the claimed providers (holysheep, deepseek, relay-a, relay-b) in the configuration, which has here, other',
    );
  } finally {
    await provider.stop();
    rmSync(folder, { recursive: true });
  }
});

it('names the entry that is missing', async () => {
  await expect(run('show', 'no-such-model')).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining('no price for any provider, model "no-such-model"'),
  });
});

it('checks a price book', async () => {
  expect(await run('check', BOOK)).toContain('example-cloud  example-large, example-large-2026');
  const json = await run('check', BOOK, '--at', '2026-12-30', '--json');
  expect(JSON.parse(json)).toEqual({ prices: 2, currencyRates: 1, old: [] });
  await expect(run('check', join(EXAMPLES, 'article-claims.yaml'))).rejects.toMatchObject({ exitCode: 2 });
});

it('names the prices and rates that were read over 90 days ago', async () => {
  const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  await run('check', BOOK, '--at', '2026-12-31');
  const notes = written.mock.calls.map(([text]) => String(text));
  written.mockRestore();
  const ago = 'was read on 2026-10-01, 91 days ago: read it again at its source\n';
  expect(notes).toEqual([
    `warning: deepseek deepseek-v4-flash ${ago}`,
    `warning: example-cloud example-large, example-large-2026 ${ago}`,
    `warning: the rate of CNY ${ago}`,
  ]);
});

it("compares the article's claims with measurements, and fails when one is contradicted", async () => {
  const claims = join(EXAMPLES, 'article-claims.yaml');
  expect(await run('compare', claims)).toContain('not measured');
  expect(process.exitCode ?? 0).toBe(0);
  const text = await run('compare', claims, '--measured', join(EXAMPLES, 'measured.yaml'));
  expect(text).toContain('CONTRADICTED');
  expect(text).toContain('HolySheep AI: p50 claimed below 50 ms, measured 640 ms over 120 probes');
  expect(process.exitCode).toBe(5);
});
