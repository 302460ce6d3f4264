import { createHash } from 'node:crypto';
import { request } from 'undici';
import type { Cohort } from '../../../src/core/routing/cohort';
import { COHORT_SHARE } from '../../../src/core/routing/cohort';
import { sealCohort } from '../../../src/gateway/callers/cohort-seals';
import { gatewayTrial } from '../../support/gateways/gateway-trial';
import { MODEL, startTestGateway, type TestGateway } from '../../support/gateways/running-gateway';
import { status } from '../../support/providers/fault-provider';

const KEY = 'a-key-of-cohorts-that-nobody-guesses';
const OLD_KEY = 'the-key-before-it-which-is-still-good';
const SEARCH = { teams: ['search'] };
const BETA = { header: 'x-cohort', values: ['beta', 'staff'] };
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

const trial = gatewayTrial();
const { legacy, candidate } = trial;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await trial.start({
    settings: { cohorts: { key: 'env:COHORTS', oldKeys: ['env:COHORTS_BEFORE'] } },
    secrets: { 'env:COHORTS': KEY, 'env:COHORTS_BEFORE': OLD_KEY },
    configuration: {
      callers: ['search', 'mail'].map((team) => ({ team, keySha256: sha256(`key-of-${team}`) })),
    },
  });
});

async function serve(only: Cohort, record: object = {}): Promise<void> {
  await gateway.route(COHORT_SHARE, { stage: 'pilot', only, ...record });
}

async function ask(team: string, headers: Record<string, string | string[]> = {}) {
  const answer = await request(`${gateway.dataUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer key-of-${team}`, ...headers },
    body: JSON.stringify({
      model: MODEL,
      user: `user-of-${team}`,
      messages: [{ role: 'user', content: 'Hi' }],
    }),
  });
  await answer.body.text();
  return { status: answer.statusCode, by: answer.headers['x-cutover-provider'], headers: answer.headers };
}

const bySeal = async (seal: string | string[], team = 'mail') => (await ask(team, { 'x-cohort': seal })).by;
const inAnHour = () => Math.floor(Date.now() / 1_000) + 3_600;

describe('a record that serves a cohort', () => {
  it('serves its teams by the candidate and everybody else by legacy', async () => {
    await serve(SEARCH);
    const answers = await Promise.all(Array.from({ length: 20 }, () => [ask('search'), ask('mail')]).flat());
    expect(answers.map(({ by }) => by)).toEqual(Array.from({ length: 20 }, () => ['new', 'old']).flat());
  });

  it('counts its requests apart from both arms', async () => {
    await serve(SEARCH);
    for (let index = 0; index < 5; index += 1) await ask('search');
    await ask('mail');
    const counted = gateway.cells().map(({ side, kind, attempts, successes, answers }) => {
      return { side, kind, attempts, successes, checked: answers?.checked };
    });
    expect(counted).toEqual([
      { side: 'candidate', kind: 'cohort', attempts: 5, successes: 5, checked: 5 },
      { side: 'legacy', kind: 'live', attempts: 1, successes: 1, checked: 1 },
    ]);
    expect(gateway.routes.get('chat')?.state.status().assigned).toEqual({ legacy: 1, candidate: 0 });
  });

  it('lets legacy answer what the candidate fails, and counts the failure as its own', async () => {
    await serve(SEARCH);
    candidate.fault = status(500);
    const { status: answered, by, headers } = await ask('search');
    expect({ answered, by, failover: headers['x-cutover-failover'] }).toEqual({
      ...{ answered: 200, by: 'old', failover: 'status_5xx' },
    });
    expect(gateway.cells()).toMatchObject([
      { side: 'candidate', kind: 'cohort', attempts: 1, failures: { status_5xx: 1 } },
    ]);
  });

  it('serves nobody by the candidate once share 0 is confirmed, or its lease has run out', async () => {
    await serve(SEARCH);
    await gateway.route(0);
    expect((await ask('search')).by).toBe('old');
    await serve(SEARCH, { leaseMs: 1 });
    expect((await ask('search')).by).toBe('old');
  });

  it('is followed by a share that draws its teams like everybody else', async () => {
    await serve(SEARCH);
    await gateway.route(1);
    expect([(await ask('search')).by, (await ask('mail')).by]).toEqual(['new', 'new']);
    expect(gateway.cells().map(({ kind }) => kind)).not.toContain('cohort');
  });

  it('takes a signed header from whoever bears it, by an earlier key too', async () => {
    await serve(BETA);
    expect(await bySeal(sealCohort(KEY, 'x-cohort', 'beta', inAnHour()))).toBe('new');
    expect(await bySeal(sealCohort(OLD_KEY, 'x-cohort', 'staff', inAnHour()))).toBe('new');
    expect((await ask('search')).by).toBe('old');
  });

  it.each([
    ['without a signature', () => 'beta'],
    ['with another signature', () => `beta.${inAnHour()}.${'0'.repeat(64)}`],
    [
      'signed by another key',
      () => sealCohort('a-key-that-somebody-has-made-up', 'x-cohort', 'beta', inAnHour()),
    ],
    ['signed for another header', () => sealCohort(KEY, 'x-other', 'beta', inAnHour())],
    ['whose time is over', () => sealCohort(KEY, 'x-cohort', 'beta', inAnHour() - 3_601)],
    ['whose time ends in a year', () => sealCohort(KEY, 'x-cohort', 'beta', inAnHour() + 365 * 86_400)],
    [
      'with a later time than was signed',
      () => sealCohort(KEY, 'x-cohort', 'beta', inAnHour()).replace(/\d{10}/, `${inAnHour() + 9}`),
    ],
    ['of a value that is not served', () => sealCohort(KEY, 'x-cohort', 'other', inAnHour())],
    [
      'that comes twice',
      () => Array.from({ length: 2 }, () => sealCohort(KEY, 'x-cohort', 'beta', inAnHour())),
    ],
  ])('believes no header %s', async (_name, seal) => {
    await serve(BETA);
    expect(await bySeal(seal())).toBe('old');
  });

  it('leaves conversations where they began, where the route says so', async () => {
    const { state } = gateway.routes.get('chat') as NonNullable<ReturnType<typeof gateway.routes.get>>;
    await serve(SEARCH, { newConversationsOnly: true });
    expect(state.draw('of-legacy', '', true, 'unused', true)).toMatchObject({
      arm: 'legacy',
      randomised: false,
    });
    expect(state.draw('new', '', false, 'unused', true)).toMatchObject({ arm: 'candidate', cohort: true });
    expect(state.draw('new', '', true, 'unused', true)).toMatchObject({ arm: 'candidate', cohort: true });
  });
});

it('does not start with a key that could be guessed', async () => {
  await expect(
    startTestGateway({
      ...{ legacyUrl: legacy.url, candidateUrl: candidate.url },
      settings: { cohorts: { key: 'env:SHORT' } },
      secrets: { 'env:SHORT': 'too short' },
    }),
  ).rejects.toThrow(
    'gateway.cohorts: expected a key of at least 32 characters at env:SHORT, got a shorter one',
  );
});
