import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import { parse as parseYaml } from 'yaml';
import { loadConfiguration, readDocument } from '../src/config';
import { configurationSchema } from '../src/core/configuration/configuration-schema';
import { jsonSchemaOf } from '../src/core/configuration/json-schema';
import { parseDocument } from '../src/core/configuration/schema-parts';
import { planEffectProblems } from '../src/core/effects/plan-effects';
import type { Plan } from '../src/core/plan/plan';
import { planSchema } from '../src/core/plan/plan-schema';
import { schemaReference, undescribed } from '../tools/schema-reference';

const ROOT = join(__dirname, '..');
const KINDS = {
  plan: { schema: planSchema, examples: filesIn('examples/plans') },
  configuration: {
    schema: configurationSchema,
    examples: [...filesIn('examples/configurations'), 'examples/compose/cutover.yaml'],
  },
} as const;

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder)).map((name) => `${folder}/${name}`);
}

function published(kind: keyof typeof KINDS): object {
  return JSON.parse(readFileSync(join(ROOT, 'schemas', `${kind}.schema.json`), 'utf8'));
}

describe.each(['plan', 'configuration'] as const)('the JSON Schema of a %s', (kind) => {
  const validate = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true }).compile(
    published(kind),
  );

  it('is the one that the code has (tools/write-schemas.ts writes it)', () => {
    expect(published(kind)).toEqual(JSON.parse(JSON.stringify(jsonSchemaOf(kind))));
  });

  it('has a reference that is current (npm run schemas writes it) and describes every field', () => {
    expect(readFileSync(join(ROOT, 'docs', `${kind}-reference.md`), 'utf8')).toBe(schemaReference(kind));
    expect(undescribed(kind)).toEqual([]);
  });

  it.each(KINDS[kind].examples)('takes %s, and so does the parser', (file) => {
    const document = readDocument(join(ROOT, file));
    expect(() => parseDocument<unknown>(KINDS[kind].schema, document, file)).not.toThrow();
    validate(document);
    expect(validate.errors ?? []).toEqual([]);
  });

  it.each(KINDS[kind].examples)('is what %s names for editors', (file) => {
    const [first = ''] = readFileSync(join(ROOT, file), 'utf8').split('\n');
    const path = first.replace('# yaml-language-server: $schema=', '');
    expect(join(ROOT, file, '..', path)).toBe(join(ROOT, 'schemas', `${kind}.schema.json`));
  });

  it.each([
    ['an unknown field', { unheard: 1 }],
    ['nothing', undefined],
    ['a list', []],
  ])('refuses %s', (_name, document) => {
    expect(validate(document)).toBe(false);
  });
});

it('refuses in editors what a person gets wrong most', () => {
  const validate = new Ajv2020({ strict: true }).compile(published('plan'));
  for (const bad of [
    'share: 1.4',
    'share: lots',
    'soak: 24',
    'soak: a day',
    'minimumSample: 1.5',
    'sahre: 0.1',
  ]) {
    const document = parseYaml(`route: chat\nstages: [{ name: assess }, { name: canary, ${bad} }]`);
    expect({ bad, valid: validate(document) }).toEqual({ bad, valid: false });
  }
});

describe('the examples', () => {
  it('of a plan with effects fit the configuration with effects', () => {
    const configuration = loadConfiguration(join(ROOT, 'examples/configurations/with-effects.yaml'));
    const wanted = plan('with-effects.yaml');
    expect(planEffectProblems(wanted, configuration)).toEqual([]);
    const named = JSON.stringify(wanted);
    for (const name of Object.keys(configuration.effects)) expect(named).toContain(`"${name}"`);
  });

  const plan = (name: string) =>
    parseDocument<Plan>(planSchema, readDocument(join(ROOT, 'examples/plans', name)), name);

  it('write the default plan out as it is', () => {
    expect(plan('default.yaml')).toEqual(planSchema.parse({ route: 'chat' }));
  });

  it('move one percent first in four steps', () => {
    expect(plan('four-steps.yaml').stages.map(({ share }) => share)).toEqual([0, 0.01, 0.1, 0.5, 1]);
  });

  it.each(['openai-to-deepseek', 'deepseek-to-relay', 'self-hosted-vllm'])(
    'move %s by a plan for a route of its own configuration',
    (name) => {
      const { routes, gateways } = loadConfiguration(join(ROOT, 'examples/configurations', `${name}.yaml`));
      const { route, stages } = plan(`${name}.yaml`);
      expect(Object.keys(routes)).toContain(route);
      expect(gateways).not.toHaveLength(0);
      expect(stages.at(-1)?.share).toBe(1);
    },
  );

  it('hold no key, only references', () => {
    for (const file of KINDS.configuration.examples) {
      expect(readFileSync(join(ROOT, file), 'utf8')).not.toMatch(/sk-[A-Za-z0-9]|bearer: (?!env:|file:)/);
    }
  });

  it("name the compose file's gateways on their ports", () => {
    const { gateways, adminToken, callers } = loadConfiguration(join(ROOT, 'examples/compose/cutover.yaml'));
    const services = Object.keys(
      parseYaml(readFileSync(join(ROOT, 'temporal-docker-compose.yml'), 'utf8')).services,
    );
    expect(gateways.map(({ admin }) => admin)).toEqual(['http://gateway-1:8081', 'http://gateway-2:8081']);
    expect(services).toEqual(expect.arrayContaining(gateways.map(({ name }) => name)));
    expect(adminToken).toBe('env:CUTOVER_ADMIN_TOKEN');
    expect(callers).not.toHaveLength(0);
  });
});
