import { jsonSchemaOf } from '../src/core/configuration/json-schema';
import { formatShare } from '../src/core/plan/plan';
import { planSchema } from '../src/core/plan/plan-schema';
import { formatDuration } from '../src/core/text/duration';

/** A JSON Schema (draft 2020-12) as far as ours go. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

/** One field of a document, with the path that leads to it. */
interface Field {
  readonly path: string;
  readonly schema: Schema;
  readonly required: boolean;
}

const TEXTS = {
  plan: {
    title: 'Plan reference',
    lead: [
      'How one route is moved. A file in YAML or JSON; only `route` is required, everything else has a default.',
      '`cutover plan init ROUTE` writes one with every default, `cutover plan check FILE` checks it.',
    ],
  },
  configuration: {
    title: 'Configuration reference',
    lead: [
      'Providers, routes and gateways. One file, `cutover.yaml`, which gateways and workers read when they',
      'start. It never contains keys, only references. `cutover doctor` says what is wrong with it.',
    ],
  },
} as const;

const UNITS = [
  'A **duration** is a text such as `500ms`, `45s`, `10m`, `24h` or `7d`. A **share** is a number from 0 to 1 or a',
  'percentage such as `"10%"`. A **reference** is `env:NAME` or `file:/path` and leads to a secret. A **name** is at',
  'most 63 of a-z, 0-9, dot, dash and underscore.',
];

/** The reference of a document as Markdown, made from its schema. */
export function schemaReference(kind: keyof typeof TEXTS): string {
  const root = jsonSchemaOf(kind) as Schema;
  const { title, lead } = TEXTS[kind];
  const fields = Object.entries(root.properties ?? {}).filter(([name]) => name !== '$schema');
  const required = root.required ?? [];
  const plain = fields.filter(([, schema]) => below('', schema).length === 0);
  const sections = fields.filter(([, schema]) => below('', schema).length > 0);
  return `${[
    `# ${title}`,
    '<!-- Made from the schema by `npm run schemas`: change src/core/*-schema.ts instead. -->',
    lead.join('\n'),
    UNITS.join('\n'),
    table(plain.map(([name, schema]) => ({ path: name, schema, required: required.includes(name) }))),
    ...sections.flatMap(([name, schema]) => [
      `## ${name}`,
      ...(schema.description === undefined ? [] : [schema.description]),
      table(below(name, schema)),
    ]),
    ...(kind === 'plan' ? [stageDefaults()] : []),
  ].join('\n\n')}\n`;
}

/** Every field that has no description, by its path: a reference without words is none. */
export function undescribed(kind: keyof typeof TEXTS): readonly string[] {
  return below('', jsonSchemaOf(kind) as Schema)
    .filter(({ path, schema }) => path !== '$schema' && schema.description === undefined)
    .map(({ path }) => path);
}

/** The fields below a schema, in the schema's order; an object that has fields of its own has no row. */
function below(path: string, schema: Schema): readonly Field[] {
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) {
    // Each alternative demands fields of its own: none of them is required where another is taken.
    const fields = alternatives
      .flatMap((each) => below(path, each))
      .map((field) => ({ ...field, required: field.required && alternatives.length === 1 }));
    return fields.filter((field, index) => fields.findIndex((other) => other.path === field.path) === index);
  }
  if (schema.items !== undefined) return below(`${path}[]`, schema.items);
  const { properties, additionalProperties } = schema;
  if (properties !== undefined) {
    return Object.entries(properties).flatMap(([name, child]) => {
      const own = {
        path: joined(path, name),
        schema: child,
        required: schema.required?.includes(name) === true,
      };
      const fields = below(own.path, child);
      return fields.length > 0 && isObject(child) ? fields : [own, ...fields];
    });
  }
  if (typeof additionalProperties === 'object') return below(joined(path, 'NAME'), additionalProperties);
  return [];
}

/** An object whose fields say all about it. */
function isObject({ properties, additionalProperties, items, description }: Schema): boolean {
  return description === undefined && (properties ?? additionalProperties ?? items) !== undefined;
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function table(fields: readonly Field[]): string {
  const rows = fields.map(({ path, schema, required }) =>
    [`\`${path}\``, typeText(schema), defaultText(schema, required), schema.description ?? ''].map(cell),
  );
  return [['field', 'type', 'default', 'what it says'], ['---', '---', '---', '---'], ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function defaultText({ default: value }: Schema, required: boolean): string {
  if (required) return '**required**';
  if (value === undefined || value === '' || JSON.stringify(value) === '{}' || JSON.stringify(value) === '[]')
    return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function typeText(schema: Schema): string {
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) {
    const names = [...new Set(alternatives.map(typeText))];
    return names.includes('percentage') ? 'share' : names.join(' or ');
  }
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(' or ');
  if (schema.items !== undefined) return `list of ${plural(typeText(schema.items))}`;
  if (schema.type === 'string') return textType(schema.pattern ?? '');
  if (schema.type === 'number' || schema.type === 'integer') return numberText(schema);
  if (typeof schema.additionalProperties === 'object')
    return `map to ${typeText(schema.additionalProperties)}`;
  if (schema.properties !== undefined) return 'object';
  if (schema.type === undefined) return 'any JSON';
  return [schema.type].flat().join(' or ');
}

function plural(type: string): string {
  return type.startsWith('`') || type === 'any JSON' ? type : `${type}s`;
}

/** Patterns that have a name of their own. */
function textType(pattern: string): string {
  if (pattern.includes('ms|s|min')) return 'duration';
  if (pattern.startsWith('^(env:')) return 'reference';
  if (pattern.includes('%$')) return 'percentage';
  if (pattern === '^[a-z0-9][a-z0-9._-]{0,62}$') return 'name';
  if (pattern.startsWith('^header:')) return '`header:NAME`';
  if (pattern === '^[0-9a-f]{64}$') return 'SHA-256 in hex';
  if (pattern.startsWith('^\\d{4}-\\d\\d-\\d\\d')) return 'date';
  return 'text';
}

function numberText({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema): string {
  const most = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  const least = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum;
  const bounds = [
    ...(least === undefined ? [] : [`at least ${least}`]),
    ...(exclusiveMinimum === undefined ? [] : [`above ${exclusiveMinimum}`]),
    ...(most === undefined ? [] : [`at most ${most}`]),
    ...(exclusiveMaximum === undefined ? [] : [`below ${exclusiveMaximum}`]),
  ];
  return [type === 'integer' ? 'whole number' : 'number', ...bounds].join(', ');
}

/** What the stages of the default plan have where a plan says nothing. */
function stageDefaults(): string {
  const plan = planSchema.parse({ route: 'chat' });
  const time = (ms: number | null) => (ms === null ? 'never' : ms === 0 ? 'none' : formatDuration(ms));
  const rows = plan.stages.map(
    ({ name, share, soakMs, minimumSample, minimumKeys, burnIn, deadline, gates }) => [
      name,
      formatShare(share),
      time(soakMs),
      String(minimumSample),
      String(minimumKeys),
      burnIn.timeMs === 0 ? 'none' : `${time(burnIn.timeMs)}, ${burnIn.requests} requests`,
      time(deadline.holdMs),
      time(deadline.rollbackMs),
      String(gates.errors.promotionExcess),
      String(gates.answers?.promotionExcess ?? 'not judged'),
      String(gates.latency.promotionIncrease ?? 'not judged'),
    ],
  );
  const { gates } = plan.stages.at(-1) ?? {};
  const head = ['stage', 'share', 'soak', 'sample', 'keys', 'burn-in', 'hold', 'roll back'];
  const goals = ['`errors.promotionExcess`', '`answers.promotionExcess`', '`latency.promotionIncrease`'];
  return [
    '## What a stage has by default',
    '',
    'A stage takes the defaults of its share: none, below half, from half on, all. The names below have a share of',
    'their own; any other name needs one.',
    '',
    ...[[...head, ...goals], Array(11).fill('---'), ...rows].map((row) => `| ${row.join(' | ')} |`),
    '',
    'In every stage:',
    '',
    `- \`errors.rollbackRatio\` ${gates?.errors.rollbackRatio}, \`latency.rollbackIncrease\` ${gates?.latency.rollbackIncrease}, \`interToken.rollbackIncrease\` ${gates?.interToken.rollbackIncrease}`,
    `- \`answers.rollbackRatio\` ${gates?.answers?.rollbackRatio}, \`answers.maxUnchecked\` ${gates?.answers?.maxUnchecked}, \`answers.minimum\` 100, at most the sample`,
    `- \`floor.success\` ${gates?.floor.success}, \`sampleRatio.pausePValue\` ${gates?.sampleRatio.pausePValue}`,
    `- \`probes.rollbackStreak\` ${gates?.probes.rollbackStreak}, \`probes.promotionStreak\` ${gates?.probes.promotionStreak}`,
  ].join('\n');
}
