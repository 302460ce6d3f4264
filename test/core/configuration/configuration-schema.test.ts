import { configurationSchema } from '../../../src/core/configuration/configuration-schema';
import { InvalidDocument, parseDocument } from '../../../src/core/configuration/schema-parts';

const SECRET = 'sk-live-1234567890';
const PROVIDERS = {
  openai: { baseUrl: 'https://api.openai.com/v1', auth: { bearer: 'env:OPENAI_API_KEY' } },
  deepseek: { baseUrl: 'https://api.deepseek.com/v1' },
};
const ROUTE = { legacy: 'openai', candidate: 'deepseek' };
const GOOD = { providers: PROVIDERS, routes: { chat: ROUTE } };

const parse = (value: unknown) => parseDocument(configurationSchema, value, 'cutover.yaml');

function problems(value: unknown): string[] {
  try {
    parse(value);
  } catch (error) {
    if (!(error instanceof InvalidDocument)) throw error;
    expect(error.message).not.toContain(SECRET);
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

const openai = (said: Record<string, unknown>) => ({
  ...GOOD,
  providers: { ...PROVIDERS, openai: { ...PROVIDERS.openai, ...said } },
});
const chat = (said: Record<string, unknown>) => ({ ...GOOD, routes: { chat: { ...ROUTE, ...said } } });

describe('a small configuration', () => {
  const configuration = parse(GOOD);

  it('gets every default', () => {
    expect(configuration.routes['chat']).toMatchObject({
      stickyKey: 'body',
      settled: 'legacy',
      stateful: 'legacy',
      models: {},
      shadow: 0,
      newConversationsOnly: false,
      replayBudget: { ratio: 0.1, burst: 20 },
    });
    expect(configuration.providers['openai']?.timeouts).toEqual({
      connect: 3_000,
      firstContent: 60_000,
      streamIdle: 120_000,
      plainTotal: 600_000,
    });
    expect(configuration).toMatchObject({
      adminToken: 'env:CUTOVER_ADMIN_TOKEN',
      gateways: [],
      callers: [],
      gateway: { maxBodyBytes: 33_554_432, maxBufferedBytes: 268_435_456, drain: 120_000 },
    });
  });

  it('may name a model by a text alone', () => {
    expect(parse(chat({ models: { 'gpt-4.1': 'deepseek-chat' } })).routes['chat']?.models['gpt-4.1']).toEqual(
      {
        candidate: 'deepseek-chat',
        parameters: { rename: {}, drop: [], set: {} },
      },
    );
  });

  it('may set parameters to any JSON value, for either provider', () => {
    const set = { thinking: { type: 'disabled' }, stop: ['a', null], provider: { only: ['x'], 'a.b': 0.5 } };
    const gpt = { candidate: 'deepseek-chat', parameters: { set }, legacyParameters: { set } };
    expect(parse(chat({ models: { gpt } })).routes['chat']?.models['gpt']).toEqual({
      candidate: 'deepseek-chat',
      parameters: { rename: {}, drop: [], set },
      legacyParameters: { rename: {}, drop: [], set },
    });
  });

  it.each([
    { bearer: 'env:KEY' },
    { header: 'api-key', key: 'env:KEY' },
    { query: 'key', key: 'file:/run/secrets/key' },
  ])('takes the key as %j', (auth) => {
    expect(parse(openai({ auth })).providers['openai']?.auth).toEqual(auth);
  });
});

describe('a rule for parameters that is not valid names path, what was expected and what arrived', () => {
  const endless: Record<string, unknown> = {};
  endless['again'] = endless;
  it.each<[string, object, string]>([
    [
      'the model',
      { drop: ['model'] },
      'drop[0]: expected another parameter: `candidate` sets the candidate\'s name of a model, and legacy gets the caller\'s, got "model"',
    ],
    [
      'what the caller alone decides',
      { rename: { flow: 'stream' } },
      'rename.flow: expected another parameter: the caller decides whether an answer is streamed, got "stream"',
    ],
    [
      'a path',
      { set: { 'thinking.type': 'disabled' } },
      'set["thinking.type"]: expected the name of a parameter at the top of the request, not a path: nest objects in `set`, got "thinking.type"',
    ],
    [
      'an object over what is always a list',
      { set: { tools: { strict: true } } },
      'set.tools: expected a text or a list: there is no object to merge with, got an object',
    ],
    [
      'a whole number that loses digits',
      { set: { provider: { order: [{ seed: 2 ** 53 }] } } },
      'set.provider.order[0].seed: expected a whole number below 2^53: a larger one loses digits, got 9007199254740992',
    ],
    [
      'a number that JSON does not have',
      { set: { top_p: Number.NaN } },
      'set.top_p: expected a number that JSON can hold, got NaN',
    ],
  ])('%s', (_what, rules, problem) => {
    for (const field of ['parameters', 'legacyParameters']) {
      expect(problems(chat({ models: { gpt: { candidate: 'x', [field]: rules } } }))).toEqual([
        `routes.chat.models.gpt.${field}.${problem}`,
      ]);
    }
  });

  it('an object that contains itself', () => {
    const models = { gpt: { candidate: 'x', parameters: { set: { endless } } } };
    expect(problems(chat({ models }))).toEqual([
      'routes.chat.models.gpt.parameters.set.endless: expected at most 32 levels of objects and lists, got an object',
    ]);
  });
});

describe('a configuration that is not valid names path, what was expected and what arrived', () => {
  it.each([
    ['no providers and no routes', {}, 'providers: expected an object, got nothing'],
    ['no route', { ...GOOD, routes: {} }, 'routes: expected at least one route, got none'],
    [
      'an unknown provider',
      chat({ candidate: 'mistral' }),
      'routes.chat.candidate: expected one of the providers (openai, deepseek), got "mistral"',
    ],
    [
      'one provider on both sides',
      chat({ candidate: 'openai' }),
      'routes.chat.candidate: the candidate must differ from legacy, got "openai" for both',
    ],
    [
      'an unknown default route',
      { ...GOOD, defaultRoute: 'mail' },
      'defaultRoute: expected one of the routes (chat), got "mail"',
    ],
    ['an unknown field', { ...GOOD, route: 'chat' }, 'route: unknown field'],
    [
      'a route name that fits into no path',
      { ...GOOD, routes: { 'my chat': ROUTE } },
      'routes["my chat"]: expected a name of a-z',
    ],
    [
      'an address that is none',
      openai({ baseUrl: 'api.openai.com' }),
      'providers.openai.baseUrl: expected an absolute http:// or https:// URL, got "api.openai.com"',
    ],
    [
      'an address of another kind',
      openai({ baseUrl: 'ftp://x' }),
      'providers.openai.baseUrl: expected an http:// or https:// URL, got "ftp://x"',
    ],
    [
      'a header name that is none',
      openai({ auth: { header: 'api key', key: 'env:KEY' } }),
      'providers.openai.auth.header',
    ],
    [
      'an unknown sticky key',
      chat({ stickyKey: 'cookie' }),
      'routes.chat.stickyKey: expected "body", "none" or "header:NAME", got "cookie"',
    ],
    [
      'an unknown side',
      chat({ settled: 'both' }),
      'routes.chat.settled: expected legacy or candidate, got "both"',
    ],
    [
      'a model that is a number',
      chat({ models: { 'gpt-4.1': 5 } }),
      'routes.chat.models["gpt-4.1"]: expected a text or an object, got 5',
    ],
    [
      'a model without the name that the candidate has',
      chat({ models: { a: {} } }),
      'routes.chat.models.a.candidate: expected a text, got nothing',
    ],
    [
      'a shadow of 140%',
      chat({ shadow: '140%' }),
      'routes.chat.shadow: expected a share from 0 to 1 (100%), got "140%"',
    ],
    [
      'two gateways of one name',
      { ...GOOD, gateways: [gateway('a'), gateway('a')] },
      'gateways[1].name: expected names that differ, got "a" twice',
    ],
    [
      'gateways and their discovery',
      { ...GOOD, gateways: [gateway('a')], gatewayDiscovery: { admin: 'http://gw:8081' } },
      'gatewayDiscovery: expected either gateways or gatewayDiscovery, got both',
    ],
    [
      'keys for a provider that is not there',
      { ...GOOD, callers: [{ team: 'a', keySha256: '0'.repeat(64), keys: { x: 'env:X' } }] },
      'callers[0].keys: expected one of the providers',
    ],
    [
      'a timeout of nothing',
      openai({ timeouts: { connect: '0s' } }),
      'providers.openai.timeouts.connect: expected at least 1 ms, got "0s"',
    ],
  ])('%s', (_name, value, expected) => {
    expect(problems(value).join('\n')).toContain(expected);
  });
});

describe('what may be a secret is never repeated', () => {
  it.each([
    [
      'a key in place of a reference',
      openai({ auth: { bearer: SECRET } }),
      'providers.openai.auth.bearer: expected a reference such as env:NAME, file:/path or credential:NAME',
    ],
    [
      'a key in place of auth',
      openai({ auth: SECRET }),
      'providers.openai.auth: expected an object, got a text (not shown)',
    ],
    ['a key under an unknown name', openai({ auth: { token: SECRET } }), 'providers.openai.auth'],
    ['a key beside auth', openai({ apiKey: SECRET }), 'providers.openai.apiKey: unknown field'],
    [
      'a header key without its reference',
      openai({ auth: { header: 'api-key', key: SECRET } }),
      'providers.openai.auth.key',
    ],
    [
      'a password in the address',
      openai({ baseUrl: `https://me:${SECRET}@api.openai.com/v1` }),
      'providers.openai.baseUrl: expected no user or password in the URL: use auth, got a text (not shown)',
    ],
    [
      'a key in a broken address',
      openai({ baseUrl: `api.openai.com/v1?key=${SECRET}` }),
      'providers.openai.baseUrl',
    ],
    ['headers as a text', openai({ headers: `authorization: ${SECRET}` }), 'providers.openai.headers'],
    ['query as a text', openai({ query: `key=${SECRET}` }), 'providers.openai.query'],
    ['an admin token', { ...GOOD, adminToken: SECRET }, 'adminToken: expected a reference'],
    [
      "a caller's key in place of its hash",
      { ...GOOD, callers: [{ team: 'a', keySha256: SECRET }] },
      'callers[0].keySha256: expected 64 lower-case hex digits',
    ],
    [
      "a team's provider key",
      { ...GOOD, callers: [{ team: 'a', keySha256: '0'.repeat(64), keys: { openai: SECRET } }] },
      'callers[0].keys.openai',
    ],
    [
      'a whole provider in the wrong place',
      { ...GOOD, providers: [{ auth: SECRET }] },
      'providers: expected an object, got a list of 1',
    ],
  ])('%s', (_name, value, expected) => {
    expect(problems(value).join('\n')).toContain(expected);
  });
});

function gateway(name: string) {
  return { name, data: 'http://127.0.0.1:8080', admin: 'http://127.0.0.1:8081' };
}

it.each([
  'http://169.254.169.254/v1',
  'http://168.63.129.16',
  'http://[::ffff:a9fe:a9fe]/v1',
  'http://[fe80::1]',
])('refuses %s as the address of a provider, and private ones are fine', (baseUrl) => {
  const read = (url: string) =>
    configurationSchema.safeParse({
      providers: { a: { baseUrl: url }, b: { baseUrl: 'http://10.0.0.1:8000/v1' } },
      routes: { chat: { legacy: 'a', candidate: 'b' } },
    });
  expect(read(baseUrl).error?.issues).toMatchObject([
    { path: ['providers', 'a', 'baseUrl'], message: expect.stringContaining('never connected to') },
  ]);
  expect(read('http://127.0.0.1/v1').success).toBe(true);
});
