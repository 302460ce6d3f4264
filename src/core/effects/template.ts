import type { Json } from './effect';

/** Variables of every template; a template that names another one is refused before anything starts. */
export const TEMPLATE_VARIABLES = [
  'route',
  'migrationId',
  'moment',
  'stage',
  'share',
  'fromShare',
  'percent',
  'restPercent',
  'epoch',
  'checkpoint',
  'by',
  'reason',
  'outcome',
  'headHash',
  'workflowId',
  'runId',
  'time',
  'temporalUi',
  'report',
  'key',
] as const;

/** Values by variable; a variable that has nothing to say is an empty text. */
export type TemplateValues = Readonly<Record<string, Json>>;

const OPENING = /\{\{/g;
const VARIABLE = /\{\{\s*([A-Za-z]+)\s*\}\}/g;
const WHOLE = /^\{\{\s*([A-Za-z]+)\s*\}\}$/;

/** What is wrong with a template; null when nothing is. `further` are variables of this place alone. */
export function templateProblem(text: string, further: readonly string[] = []): string | null {
  const known: readonly string[] = [...TEMPLATE_VARIABLES, ...further];
  const names = [...text.matchAll(VARIABLE)].map(([, name = '']) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) return `expected one of the variables ${known.join(', ')}, got "{{${unknown}}}"`;
  const openings = [...text.matchAll(OPENING)].length;
  return openings === names.length ? null : 'expected every "{{" to open a variable such as "{{route}}"';
}

/** What is wrong with the texts of a JSON template, with where; empty when nothing is. */
export function jsonTemplateProblems(
  value: Json,
  further: readonly string[] = [],
  path: readonly (string | number)[] = [],
): { readonly path: readonly (string | number)[]; readonly message: string }[] {
  if (typeof value === 'string') {
    const message = templateProblem(value, further);
    return message === null ? [] : [{ path, message }];
  }
  if (value === null || typeof value !== 'object') return [];
  const entries: readonly (readonly [string | number, Json])[] = isList(value)
    ? value.map((item, index) => [index, item] as const)
    : Object.entries(value);
  return entries.flatMap(([key, item]) => jsonTemplateProblems(item, further, [...path, key]));
}

/** Fills a template in once: braces in values stay text. `fitting` makes each value fit for its place. */
export function fillText(
  text: string,
  values: TemplateValues,
  fitting: (value: string) => string = (value) => value,
): string {
  return text.replace(VARIABLE, (_whole, name: string) => fitting(asText(values[name])));
}

/** Fills the texts of a JSON template in; a text that is one variable and nothing else takes its value as it is. */
export function fillJson(template: Json, values: TemplateValues): Json {
  if (typeof template === 'string') {
    const [, name] = WHOLE.exec(template) ?? [];
    return name === undefined ? fillText(template, values) : (values[name] ?? null);
  }
  if (template === null || typeof template !== 'object') return template;
  if (isList(template)) return template.map((item) => fillJson(item, values));
  return Object.fromEntries(Object.entries(template).map(([key, item]) => [key, fillJson(item, values)]));
}

function asText(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
