import { readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import { parse } from 'yaml';
import { defaultPlan } from '../../../src/client';
import { runCli } from '../../support/cli';
import { configurationDocument, folderWith } from '../../support/migrations/migration-fixture';

let folder: string;

beforeEach(() => {
  folder = folderWith({});
});
afterEach(() => rm(folder, { recursive: true }));

const run = (...args: string[]) => runCli(args, { cwd: folder });

it('writes a plan that says every default and is the default plan', async () => {
  expect(await run('plan', 'init', 'chat')).toMatchObject({ code: 0 });
  const text = readFileSync(join(folder, 'plan.yaml'), 'utf8');
  expect(text).toContain('soak: 24h');
  const checked = await run('plan', 'check', 'plan.yaml', '--json');
  expect(checked.code).toBe(0);
  expect(JSON.parse(checked.stdout)).toEqual({ valid: true, plan: defaultPlan('chat') });
});

it('checks the plan.yaml of the folder where none is named, and says what to do where there is none', async () => {
  expect(await run('plan', 'check')).toMatchObject({
    code: 2,
    stderr:
      'expected a plan: there is no plan.yaml here. Name a file, or write one with `cutover plan init`\n',
  });
  await run('plan', 'init', 'chat');
  expect((await run('plan', 'check')).stdout).toMatch(/^plan\.yaml is valid: route chat/);
});

it('never writes over a plan that is there', async () => {
  await run('plan', 'init', 'chat');
  const { code, stderr } = await run('plan', 'init', 'other');
  expect(stderr).toContain('cannot write plan.yaml: it is there already');
  expect(code).toBe(2);
  expect(readFileSync(join(folder, 'plan.yaml'), 'utf8')).toContain('route: chat');
  expect(await run('plan', 'init', 'other', '--out', 'other.yaml', '--json')).toMatchObject({
    code: 0,
    stdout: '{"route":"other","file":"other.yaml"}\n',
  });
});

it('prints the stages and margins of a plan', async () => {
  await run('plan', 'init', 'chat');
  const { stdout } = await run('plan', 'check', 'plan.yaml');
  expect(stdout).toMatch(/^canary +10% +24 h +30 min +400 +50 /m);
  expect(stdout).toMatch(
    /^canary +beyond x1.5; within \+2% +beyond x1.5; within \+3% +beyond \+50%; not judged /m,
  );
});

it('estimates the days of every stage on the traffic that is given', async () => {
  await run('plan', 'init', 'chat');
  const known = await run('plan', 'check', 'plan.yaml', '--requests-per-day', '20000');
  expect(known.stdout).toMatch(/^canary +[\d,]+ +24 h +\S+ h +72 h +yes +soak$/m);
  expect(known).toMatchObject({ code: 0, stderr: '' });
  const unknown = await run('plan', 'check', 'plan.yaml');
  expect(unknown.stdout).toContain('How long its stages take: not known');
});

it('rehearses a plan on the kind of traffic that is given, and refuses one that does not decide there', async () => {
  const plan = {
    route: 'chat',
    stages: [
      { name: 'assess' },
      { name: 'canary', soak: '8h', window: '1h', deadline: { hold: '14h', rollback: '7d' } },
      { name: 'complete' },
    ],
  };
  writeFileSync(join(folder, 'quick.json'), JSON.stringify(plan));
  const check = (traffic: object) => {
    writeFileSync(join(folder, 'traffic.json'), JSON.stringify({ requestsPerDay: 60_000, ...traffic }));
    return run('plan', 'check', 'quick.json', '--traffic', 'traffic.json');
  };
  const { code, stdout, stderr } = await check({ kind: 'sticky keys' });
  expect(stdout).toMatch(/^canary +\S+ +\S+( h)? +never +14 h +NO /m);
  expect(stderr).toMatch(
    /^canary.* not likely to decide before being held: of rehearsals with an equal candidate on this traffic \(sticky keys\) \d of 10 of canary.* passed, expected nine of ten/,
  );
  expect(code).toBe(5);
  const unknown = await check({ kind: 'sunny' });
  expect(unknown.stderr).toContain('kind: expected one of days, weekend,');
  expect(unknown.stderr).toContain('got "sunny"');
  expect(unknown.code).toBe(2);
});

it('refuses a plan that cannot decide before it is held, and names one that can', async () => {
  await run('plan', 'init', 'chat');
  const { code, stdout, stderr } = await run('plan', 'check', 'plan.yaml', '--requests-per-day', '500');
  expect(stdout).toMatch(/A plan that is likely to decide differs in:\n {2}profile: standard -> small\n/);
  expect(stderr).toMatch(
    /^canary, rolling, complete are not likely to decide before being held: it would take about [\d,]+ requests per day\n$/,
  );
  expect(code).toBe(5);
  const json = await run('plan', 'check', 'plan.yaml', '--requests-per-day', '500', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    valid: true,
    decides: false,
    suggestion: { changes: [{ path: 'profile', to: 'small' }, { path: 'stages' }] },
  });
  expect(await run('plan', 'check', 'plan.yaml', '--requests-per-day', '-1')).toMatchObject({ code: 2 });
});

it('shows how outcomes are judged, and refuses them where no gateway takes any', async () => {
  const plan = { route: 'chat', outcomes: [{ name: 'solved', harm: 0.02, minimum: 300 }] };
  writeFileSync(join(folder, 'judged.json'), JSON.stringify(plan));
  const shown = await run('plan', 'check', 'judged.json');
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(
    /^solved +higher +worse by more than 2 points +worse by at most 5 points +at least 300 per stage$/m,
  );
  const { routes, providers } = configurationDocument(['chat']) as { routes: object; providers: object };
  for (const [gateway, code] of [
    [{}, 2],
    [{ outcomes: { key: 'env:CUTOVER_OUTCOME_KEY' } }, 0],
  ] as const) {
    writeFileSync(join(folder, 'cutover.json'), JSON.stringify({ routes, providers, gateway }));
    const checked = await run(
      'plan',
      'check',
      'judged.json',
      '--config',
      'cutover.json',
      '--requests-per-day',
      '20000',
    );
    expect(checked.code).toBe(code);
    if (code === 2) expect(checked.stderr).toContain('outcomes: expected gateway.outcomes in cutover.json');
  }
});

it('shows how cost is judged, and refuses that where a model has no price', async () => {
  const stages = [
    { name: 'assess' },
    { name: 'canary', gates: { cost: { quantile: 0.5 } } },
    { name: 'complete' },
  ];
  writeFileSync(join(folder, 'cost.json'), JSON.stringify({ route: 'chat', stages }));
  const shown = await run('plan', 'check', 'cost.json');
  expect(shown.stdout).toMatch(/^canary +p50 cost per request +beyond \+50% +within \+20%$/m);
  const document = configurationDocument(['chat']) as {
    routes: { chat: { legacy: string; candidate: string; models: object } };
    providers: Record<string, object>;
  };
  const { legacy, candidate } = document.routes.chat;
  const price = { inputPerMillion: 1, outputPerMillion: 2 };
  document.routes.chat.models = { large: 'small' };
  for (const [prices, code] of [
    [{}, 2],
    [{ small: price }, 0],
  ] as const) {
    const providers = {
      ...document.providers,
      [legacy]: { ...document.providers[legacy], prices: { large: price } },
      [candidate]: { ...document.providers[candidate], prices },
    };
    writeFileSync(join(folder, 'cutover.json'), JSON.stringify({ routes: document.routes, providers }));
    const flags = ['--config', 'cutover.json', '--requests-per-day', '50000'];
    const checked = await run('plan', 'check', 'cost.json', ...flags);
    expect(checked.code).toBe(code);
    if (code === 2) {
      expect(checked.stderr).toContain(
        `stages[1].gates.cost: expected prices of every model that the route maps, at both providers: providers.${candidate}.prices has none for small`,
      );
    }
  }
});

it('shows what a stage that copies is judged by, and what its copies may cost', async () => {
  const shadow = { name: 'shadow', mirror: '5%', maxCostUsd: 5 };
  const stages = [{ name: 'assess' }, shadow, { name: 'canary' }, { name: 'complete' }];
  writeFileSync(join(folder, 'copies.json'), JSON.stringify({ route: 'chat', stages }));
  const shown = await run('plan', 'check', 'copies.json', '--requests-per-day', '50000');
  expect(shown.stdout).toMatch(/^shadow +0%, copies 5% +60 min /m);
  expect(shown.stdout).toMatch(
    /^shadow +- +more pairs lost than won; within 3% +half of the pairs beyond \+50% +- +- /m,
  );
  expect(shown.stdout).toMatch(/^shadow +copies 5% of legacy's requests to the candidate for at most \$5,/m);
  expect(shown.stdout).toMatch(/^shadow is not estimated: it takes at least 60 min and 300 pairs, /m);
  const judge = { provider: 'openai', model: 'gpt-4o', maxCostUsd: 2 };
  writeFileSync(join(folder, 'judged.json'), JSON.stringify({ route: 'chat', judge, stages }));
  const judged = await run('plan', 'check', 'judged.json');
  expect(judged.stdout).toMatch(
    /^shadow +has gpt-4o of openai judge 10% of the pairs for at most \$2, at least 50; rolls back beyond 10 points more lost than won$/m,
  );
});

it('prints JSON Schemas that accept what the parser accepts', async () => {
  await run('plan', 'init', 'chat');
  const ajv = new Ajv2020({ strict: false });
  const plan = ajv.compile(JSON.parse((await run('plan', 'schema')).stdout));
  expect(plan(parse(readFileSync(join(folder, 'plan.yaml'), 'utf8')))).toBe(true);
  expect(plan({ route: 'chat', unknown: 1 })).toBe(false);
  const configuration = ajv.compile(JSON.parse((await run('plan', 'schema', '--configuration')).stdout));
  expect(configuration(configurationDocument(['chat']))).toBe(true);
  expect(configuration({ routes: {} })).toBe(false);
});
