import { SchemaChecks } from '../../src/parity/schema-checks';
import { chatConfiguration, goldenLines, parityWorld, wellAnswered } from '../support/parity-fixture';
import { type ScriptedProvider, says, startScriptedProvider } from '../support/providers/scripted-provider';

/** Takes years for this text, whoever runs it. */
const ENDLESS = { type: 'string', pattern: '^(a+)+$' };
const HOSTILE = `${'a'.repeat(40)}!`;
const DEADLINE_MS = 1_000;

let checks: SchemaChecks;
beforeEach(() => {
  checks = new SchemaChecks(DEADLINE_MS);
});
afterEach(() => checks.close());

describe('a schema', () => {
  it.each([
    [{ type: 'object', required: ['a'] }, { a: 1 }, 'kept'],
    [{ type: 'object', required: ['a'] }, { b: 1 }, 'broken'],
    [{ $id: 'x', type: 'string', format: 'date' }, '2026-01-05', 'kept'],
    [{ $id: 'x', type: 'string', format: 'date' }, 'soon', 'broken'],
    [ENDLESS, 'aaaa', 'kept'],
    [ENDLESS, 'aaab', 'broken'],
  ])('%j is kept or broken by %j: %s', async (schema, value, kept) => {
    expect(await checks.check(schema, value)).toBe(kept);
  });

  it('that cannot be compiled says why', async () => {
    expect(await checks.problemOf({ type: 'thing' })).toContain('type');
    expect(await checks.problemOf({ pattern: '(' })).toContain('regular expression');
    expect(await checks.problemOf({ type: 'string' })).toBeNull();
  });

  it('whose pattern backtracks without end is left unchecked, and stops nothing else', async () => {
    let turns = 0;
    const ticking = setInterval(() => {
      turns += 1;
    }, 5);
    const [endless, next] = await Promise.all([
      checks.check(ENDLESS, HOSTILE),
      checks.check({ type: 'string' }, 'x'),
    ]);
    clearInterval(ticking);
    expect(endless).toEqual({ unchecked: 'the schema was not done within 1 s' });
    expect(next).toBe('kept');
    expect(turns).toBeGreaterThan(5);
  });
});

describe('a parity run', () => {
  let provider: ScriptedProvider;
  beforeAll(async () => {
    provider = await startScriptedProvider(wellAnswered);
  });
  afterAll(() => provider.stop());

  it('leaves out prompts whose schema does not end, says which, and never takes that for a pass', async () => {
    provider.script = (request) =>
      request.body['response_format'] === undefined ? wellAnswered(request) : says(JSON.stringify(HOSTILE));
    const endless = JSON.stringify({
      id: 'endless',
      stratum: 'json',
      messages: [{ role: 'user', content: 'describe 1' }],
      responseFormat: { type: 'json_schema', json_schema: { name: 'a', schema: ENDLESS } },
    });
    const world = parityWorld(
      chatConfiguration(provider.url, provider.url),
      `${goldenLines(3, ['tools', 'text'])}${endless}\n`,
    );
    try {
      const report = await world.run({ minimumPrompts: 6 });
      expect(report.prompts).toEqual({ given: 7, compared: 6, skipped: 1 });
      expect(report.differing).toEqual([
        { id: 'endless', what: 'unchecked: the schema was not done within 2 s' },
      ]);
      expect(report.outcome).not.toBe('pass');
    } finally {
      world.remove();
    }
  });
});
