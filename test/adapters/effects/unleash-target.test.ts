import type { Json } from '../../../src/core/effects/effect';
import { effectContext, effectTargets, NEVER, ON_LOOPBACK } from '../../support/effect-trial';
import { startUnleash, type UnleashServer } from '../../support/servers/unleash-server';

let unleash: UnleashServer;

beforeAll(async () => {
  unleash = await startUnleash();
}, 900_000);

afterAll(() => unleash?.stop());

interface Environment {
  readonly enabled: boolean;
  readonly strategies: readonly Record<string, unknown>[];
}

/** A flag with the given strategies in the environment `development`; answers what Unleash makes of them. */
async function flagWith(name: string, strategies: readonly object[] = []): Promise<Environment> {
  await unleash.admin('POST', 'projects/default/features', { name, type: 'release' });
  for (const strategy of strategies) {
    await unleash.admin('POST', `${placeOf(name)}/strategies`, strategy);
  }
  return environmentOf(name);
}

const placeOf = (name: string) => `projects/default/features/${name}/environments/development`;

async function environmentOf(name: string): Promise<Environment> {
  return (await unleash.admin('GET', placeOf(name))) as Environment;
}

const targets = (fields: object = {}, token = unleash.token) =>
  effectTargets(
    {
      flags: {
        type: 'unleash',
        url: unleash.url,
        token: 'env:T',
        environment: 'development',
        ...ON_LOOPBACK,
        ...fields,
      },
    },
    { 'env:T': token },
  );

const effect = (flag: string, set: Record<string, Json> = {}) => ({ name: 'flags', set: { flag, ...set } });

const rolloutOf = (environment: Environment, index = 0) =>
  (environment.strategies[index]?.['parameters'] as { rollout?: string } | undefined)?.rollout;

const FULL_STRATEGY = {
  name: 'flexibleRollout',
  title: 'by tenant',
  parameters: { rollout: '3', stickiness: 'sessionId', groupId: 'tenants' },
  constraints: [
    {
      contextName: 'environment',
      operator: 'IN',
      values: ['eu', 'us'],
      inverted: true,
      caseInsensitive: false,
    },
  ],
  variants: [
    {
      name: 'blue',
      weight: 1000,
      weightType: 'variable',
      stickiness: 'default',
      payload: { type: 'json', value: '{}' },
    },
  ],
};

it('sets the rollout to the share of the stage, and puts everything back exactly', async () => {
  const before = await flagWith('full', [FULL_STRATEGY, { name: 'default', title: 'staff', disabled: true }]);
  const one = targets();
  const captured = await one.capture(effect('full'), effectContext(), NEVER);
  expect(await one.apply(effect('full'), 'k', effectContext({ share: 0.1 }), NEVER)).toBe(
    'full is at 10% in development; the flag is switched off there',
  );
  const during = await environmentOf('full');
  expect(rolloutOf(during)).toBe('10');
  expect(during.strategies[0]).toMatchObject({ ...FULL_STRATEGY, parameters: { stickiness: 'sessionId' } });
  await one.restore(effect('full'), captured, 'k:restore', effectContext(), NEVER);
  expect(await environmentOf('full')).toEqual(before);
});

it('adds a strategy where there is none, moves it from stage to stage, and takes it away again', async () => {
  const before = await flagWith('bare');
  const one = targets();
  const on = effect('bare', { enabled: true });
  const first = await one.capture(on, effectContext(), NEVER);
  await one.apply(on, 'k1', effectContext({ share: 0.1 }), NEVER);
  const second = await one.capture(on, effectContext(), NEVER);
  await one.apply(on, 'k2', effectContext({ share: 0.125 }), NEVER);
  const during = await environmentOf('bare');
  expect({ enabled: during.enabled, rollout: rolloutOf(during), count: during.strategies.length }).toEqual({
    enabled: true,
    rollout: '12.5',
    count: 1,
  });
  await one.restore(on, second, 'k2:restore', effectContext(), NEVER);
  expect(rolloutOf(await environmentOf('bare'))).toBe('10');
  await one.restore(on, first, 'k1:restore', effectContext(), NEVER);
  expect(await environmentOf('bare')).toEqual(before);
});

it('leaves other strategies alone, and says that they count', async () => {
  await flagWith('several', [{ name: 'default', title: 'everyone' }, FULL_STRATEGY]);
  const note = await targets().apply(effect('several', { rollout: 25 }), 'k', effectContext(), NEVER);
  expect(note).toContain('1 other strategies stay as they are and count as well');
  const { strategies } = await environmentOf('several');
  expect(strategies.map(({ title }) => title)).toEqual(['everyone', 'by tenant']);
});

it('wants to know which one where a flag has several of its kind', async () => {
  await flagWith('two', [FULL_STRATEGY, { ...FULL_STRATEGY, title: 'by region' }]);
  const one = targets();
  await expect(one.apply(effect('two'), 'k', effectContext(), NEVER)).rejects.toMatchObject({
    retryable: false,
    message: expect.stringContaining('got 2 of 2 (by tenant, by region): name one by `strategy`'),
  });
  await one.apply(effect('two', { strategy: 'by region' }), 'k', effectContext({ share: 0.5 }), NEVER);
  const environment = await environmentOf('two');
  expect([rolloutOf(environment, 0), rolloutOf(environment, 1)]).toEqual(['3', '50']);
});

it('puts a strategy back that somebody deleted meanwhile', async () => {
  const before = await flagWith('deleted', [FULL_STRATEGY]);
  const one = targets();
  const captured = await one.capture(effect('deleted'), effectContext(), NEVER);
  await one.apply(effect('deleted'), 'k', effectContext(), NEVER);
  await unleash.admin('DELETE', `${placeOf('deleted')}/strategies/${before.strategies[0]?.['id']}`);
  await one.restore(effect('deleted'), captured, 'k:restore', effectContext(), NEVER);
  const { strategies } = await environmentOf('deleted');
  expect(strategies).toEqual([{ ...before.strategies[0], id: expect.any(String) }]);
});

it('does nothing the second time', async () => {
  await flagWith('twice', [FULL_STRATEGY]);
  const one = targets();
  const note = await one.apply(effect('twice'), 'k', effectContext(), NEVER);
  const events = async () =>
    ((await unleash.admin('GET', 'events/twice')) as { events: readonly unknown[] }).events.length;
  const count = await events();
  expect(await one.apply(effect('twice'), 'k', effectContext(), NEVER)).toBe(note);
  expect(await events()).toBe(count);
});

it('can be asked about without changing anything', async () => {
  expect(await targets().reach('flags', NEVER)).toBe('Unleash knows the project default');
  await expect(targets({ project: 'nowhere' }).reach('flags', NEVER)).rejects.toMatchObject({
    retryable: false,
  });
});

it.each([
  ['a flag that is not there', {}, undefined, 'answered 404'],
  ['another token', {}, '*:*.wrong', 'answered 401'],
])('is refused with %s', async (_what, fields, token, message) => {
  const one = targets(fields, token);
  await expect(one.capture(effect('nowhere'), effectContext(), NEVER)).rejects.toMatchObject({
    name: 'EffectProblem',
    retryable: false,
    message: expect.stringContaining(message),
  });
});
