import { InvalidDocument, parseDocument } from '../../../src/core/configuration/schema-parts';
import { effectValues } from '../../../src/core/effects/effect-values';
import { planEffectProblems } from '../../../src/core/effects/plan-effects';
import { fillJson, fillText, templateProblem } from '../../../src/core/effects/template';
import { planSchema } from '../../../src/core/plan/plan-schema';
import { configurationWith, effectContext } from '../../support/effect-trial';

const NO_LINKS = { temporalUi: null, namespace: 'default', report: null };

function problemsOf(parse: () => unknown): string[] {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof InvalidDocument)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

const effectProblems = (target: object) => problemsOf(() => configurationWith({ target }));

describe('a template', () => {
  const values = effectValues(effectContext({ reason: '{{headHash}} $& <b>' }), NO_LINKS, 'key-1');

  it('is filled in once: what a person wrote is never a template', () => {
    expect(fillText('{{ route }} at {{share}}: {{reason}}', values)).toBe('chat at 10%: {{headHash}} $& <b>');
  });

  it('keeps the type of a variable that stands alone', () => {
    expect(fillJson({ rollout: '{{percent}}', rest: ['{{restPercent}}%'] }, values)).toEqual({
      rollout: 10,
      rest: ['90%'],
    });
  });

  it.each([
    ['{{raison}}', 'expected one of the variables route, '],
    ['{{reason', 'expected every "{{" to open a variable'],
    ['{{constructor}}', 'expected one of the variables route, '],
  ])('with %s is refused', (text, problem) => {
    expect(templateProblem(text)).toContain(problem);
  });

  it('links to the run in the Temporal UI and to the report, whatever the names hold', () => {
    const links = {
      temporalUi: 'https://temporal.test/',
      namespace: 'prod',
      report: 'https://c.test/{{route}}?{{by}}',
    };
    const { temporalUi, report } = effectValues(effectContext({ by: 'a&b=/c' }), links, 'key');
    expect(temporalUi).toBe('https://temporal.test/namespaces/prod/workflows/cutover%2Fchat/run-1');
    expect(report).toBe('https://c.test/chat?a%26b%3D%2Fc');
  });
});

describe('the configuration of effects', () => {
  it('fills in what is safe', () => {
    const { target } = configurationWith({
      target: { type: 'confirm', url: 'https://board.test', secret: 'env:S' },
    }).effects;
    expect(target).toMatchObject({
      default: 'hold',
      allowPrivate: false,
      allowHttp: false,
      timeout: 300_000,
    });
  });

  it.each([
    [{ type: 'slack', url: 'https://hooks.slack.test/T/B/secret' }, 'target.url: expected a reference'],
    [{ type: 'webhook', url: 'http://pager.test', secret: 'env:S' }, 'expected https://, or allowHttp: true'],
    [{ type: 'webhook', url: 'https://u:p@pager.test', secret: 'env:S' }, 'expected no user or password'],
    [{ type: 'slack', url: 'env:U', text: 'gone: {{reasn}}' }, 'target.text: expected one of the variables'],
    [
      { type: 'flag', get: { url: 'https://{{route}}.test/' }, set: { url: 'https://f.test/', body: {} } },
      'target.get.url: expected an http:// or https:// URL with variables in its path or query only',
    ],
    [
      {
        type: 'flag',
        get: { url: 'https://f.test/' },
        set: { url: 'https://f.test/', body: { a: ['{{b}}'] } },
      },
      'target.set.body.a[0]: expected one of the variables',
    ],
    [{ type: 'carrier pigeon' }, 'expected one of the types dns, unleash'],
    [{ type: 'confirm', url: 'https://b.test', secret: 'env:S', timeout: '25h' }, 'expected at most 24h'],
    [
      { type: 'dns', server: 'ns1', zone: 'example.com', tsig: { name: 'k', secret: 'c2VjcmV0' } },
      'target.tsig.secret: expected a reference',
    ],
  ])('refuses %j', (target, problem) => {
    const problems = effectProblems(target).join('\n');
    expect(problems).toContain(problem);
    expect(problems).not.toMatch(/secret"|c2VjcmV0|hooks\.slack/);
  });
});

describe('a plan with effects', () => {
  const configuration = configurationWith({
    zone: { type: 'dns', server: 'ns1', zone: 'example.com', tsig: { name: 'k', secret: 'env:K' } },
    flags: { type: 'unleash', url: 'https://u.test', token: 'env:T', environment: 'production' },
    channel: { type: 'slack', url: 'env:U' },
    board: { type: 'confirm', url: 'https://b.test', secret: 'env:S' },
  });
  const planWith = (fields: object, canary: object = {}) =>
    parseDocument(
      planSchema,
      {
        route: 'chat',
        stages: [{ name: 'assess' }, { name: 'canary', ...canary }, { name: 'complete' }],
        ...fields,
      },
      'plan.yaml',
    );
  const problems = (fields: object, canary: object = {}) =>
    planEffectProblems(planWith(fields, canary), configuration).map(
      ({ path, message }) => `${path}: ${message}`,
    );

  it('carries them in the order of the file, and has none of these fields without them', () => {
    const effects = [{ name: 'flags', set: { flag: 'candidate' } }, { name: 'channel' }];
    const plan = planWith(
      { notify: [{ name: 'channel', moments: ['drift'] }] },
      { effects, confirm: ['board'] },
    );
    expect(plan.stages[1]).toMatchObject({
      effects: [effects[0], { name: 'channel', set: {} }],
      confirm: ['board'],
    });
    expect(plan.notify).toEqual([{ name: 'channel', moments: ['drift'] }]);
    expect(Object.keys(planWith({}))).not.toContain('notify');
    expect(problems({ notify: [{ name: 'channel' }] }, { effects, confirm: ['board'] })).toEqual([]);
  });

  it.each([
    [
      { effects: [{ name: 'nowhere' }] },
      'stages[1].effects[0].name: expected one of the configuration\'s effects of type dns, unleash, flag, slack, webhook (zone, flags, channel), got "nowhere"',
    ],
    [{ effects: [{ name: 'board' }] }, 'got "board" of type confirm'],
    [{ effects: [{ name: 'constructor' }] }, 'expected another name'],
    [
      { confirm: ['channel'] },
      "stages[1].confirm[0]: expected one of the configuration's effects of type confirm (board)",
    ],
    [{ effects: [{ name: 'flags', set: { flga: 'x' } }] }, 'stages[1].effects[0].set.flag: expected'],
    [
      { effects: [{ name: 'zone', set: { name: 'api.example.org', type: 'A', values: ['192.0.2.1'] } }] },
      'set.name: expected a name within the zone example.com, got "api.example.org"',
    ],
    [
      { effects: [{ name: 'zone', set: { name: 'api.example.com', type: 'A', values: ['192.0.2.300'] } }] },
      'set.values[0]: expected an IPv4 address, got "192.0.2.300"',
    ],
    [
      {
        effects: [
          { name: 'zone', set: { name: 'a.example.com', type: 'SRV', values: ['0 {{share}} 443 b.'] } },
        ],
      },
      'set.values[0]: expected "priority weight port target"',
    ],
    [
      { effects: [{ name: 'channel', set: { text: '{{whom}}' } }] },
      'stages[1].effects[0].set.text: expected one of the variables',
    ],
  ])('refuses %j', (canary, problem) => {
    const seen = [
      ...problemsOf(() => planWith({}, canary)),
      ...(problem.includes('another') ? [] : problems({}, canary)),
    ];
    expect(seen.join('\n')).toContain(problem);
  });

  it('may weigh SRV records by the share', () => {
    const values = ['0 {{percent}} 443 new.example.com.', '0 {{restPercent}} 443 old.example.com.'];
    const set = { name: '_llm._tcp.example.com', type: 'SRV', values };
    expect(problems({}, { effects: [{ name: 'zone', set }] })).toEqual([]);
  });

  it('tells only targets that are told things', () => {
    expect(problems({ notify: [{ name: 'zone' }] })).toEqual([
      expect.stringContaining(
        "notify[0].name: expected one of the configuration's effects of type slack, webhook (channel)",
      ),
    ]);
  });
});
