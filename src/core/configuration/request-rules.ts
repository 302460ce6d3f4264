import { z } from 'zod';
import { isJsonObject } from '../text/json-object';

/** More levels than any parameter has; YAML can make an object that contains itself. */
const MOST_LEVELS = 32;

/** These decide who answers and how the gateway reads it. */
const FIXED: Readonly<Record<string, string>> = {
  model: "the candidate's name of a model is said by `candidate`, and legacy gets the caller's",
  stream: 'the caller decides whether an answer is streamed',
};

/** Texts or lists in every API, so that an object has nothing to merge with. */
const NEVER_OBJECTS = new Set(['functions', 'input', 'messages', 'stop', 'tools']);

/** The fields that every message has; others are what providers add. */
const OF_MESSAGES = new Set([
  'role',
  'content',
  'name',
  'refusal',
  'tool_calls',
  'function_call',
  'tool_call_id',
]);

function historyRulesSchema(provider: string) {
  return z
    .strictObject({
      rename: z
        .record(z.string(), z.string())
        .default({})
        .describe(`Old name to new name of fields in assistant messages, for ${provider}.`),
      drop: z
        .array(z.string())
        .default([])
        .describe(`Fields of assistant messages that ${provider} does not take, such as reasoning_content.`),
    })
    .superRefine(({ rename, drop }, context) => {
      const check = (path: (string | number)[], name: string) => {
        if (!OF_MESSAGES.has(name)) return;
        const message = `expected a field that a provider adds to its messages, got "${name}", which every message has`;
        context.addIssue({ code: 'custom', path, message });
      };
      for (const [from, to] of Object.entries(rename)) {
        check(['rename', from], from);
        check(['rename', from], to);
      }
      for (const [index, name] of drop.entries()) check(['drop', index], name);
    });
}

/** What becomes of a request's parameters on the way to one provider: renamed, dropped, then set. */
export function requestRulesSchema(provider: string) {
  return z
    .strictObject({
      rename: z
        .record(z.string(), z.string())
        .default({})
        .describe(`Old name to new name of request parameters, for ${provider}.`),
      drop: z.array(z.string()).default([]).describe(`Request parameters that ${provider} does not take.`),
      set: z
        .record(z.string(), z.unknown())
        .default({})
        .describe(
          `Request parameters set to a JSON value for ${provider}. An object is merged into the object that the request has there, at every level; anything else is replaced.`,
        ),
      history: historyRulesSchema(provider)
        .optional()
        .describe(
          'What becomes of fields that the other provider adds to assistant messages, in conversations that it began.',
        ),
    })
    .superRefine(({ rename, drop, set }, context) => {
      const refuse = (path: (string | number)[], message: string) =>
        context.addIssue({ code: 'custom', path, message });
      const check = (path: (string | number)[], name: string) => {
        const message = nameProblem(name);
        if (message !== null) refuse(path, `${message}, got "${name}"`);
      };
      for (const [from, to] of Object.entries(rename)) {
        check(['rename', from], from);
        check(['rename', from], to);
      }
      for (const [index, name] of drop.entries()) check(['drop', index], name);
      for (const [name, value] of Object.entries(set)) {
        check(['set', name], name);
        if (NEVER_OBJECTS.has(name) && isJsonObject(value)) {
          refuse(['set', name], 'expected a text or a list: there is no object to merge with');
        }
        const problem = valueProblem(value, ['set', name]);
        if (problem !== null) refuse(problem.path, problem.message);
      }
    });
}

export type RequestRules = z.output<ReturnType<typeof requestRulesSchema>>;
export type HistoryRules = NonNullable<RequestRules['history']>;

/** Whether rules change nothing. */
export function isEmpty({ rename, drop, set, history }: RequestRules): boolean {
  return drop.length === 0 && !hasKeys(rename) && !hasKeys(set) && !changesHistory(history);
}

/** Whether rules change what assistants said. */
export function changesHistory(history: HistoryRules | undefined): history is HistoryRules {
  return history !== undefined && (history.drop.length > 0 || hasKeys(history.rename));
}

/** A parsed body by the rules, as the gateway rewrites the bytes of one. */
export function followRules(body: object, rules: RequestRules): Record<string, unknown> {
  const fields = renamedFields(body, rules);
  for (const [name, value] of Object.entries(rules.set)) fields.set(name, merged(fields.get(name), value));
  const { history } = rules;
  const messages = fields.get('messages');
  if (changesHistory(history) && Array.isArray(messages)) {
    fields.set(
      'messages',
      messages.map((message: unknown) =>
        isJsonObject(message) && message['role'] === 'assistant'
          ? Object.fromEntries(renamedFields(message, history))
          : message,
      ),
    );
  }
  return Object.fromEntries(fields);
}

function renamedFields(object: object, { rename, drop }: HistoryRules): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [name, value] of Object.entries(object)) {
    const renamed = Object.hasOwn(rename, name) ? (rename[name] as string) : name;
    if (!drop.includes(name) && !drop.includes(renamed)) fields.set(renamed, value);
  }
  return fields;
}

/** Objects are merged as RFC 7396 does it, but null is a value like any other and removes nothing. */
function merged(held: unknown, value: unknown): unknown {
  if (!isJsonObject(held) || !isJsonObject(value)) return value;
  const fields = new Map(Object.entries(held));
  for (const [name, inner] of Object.entries(value)) fields.set(name, merged(fields.get(name), inner));
  return Object.fromEntries(fields);
}

function nameProblem(name: string): string | null {
  if (Object.hasOwn(FIXED, name)) return `expected another parameter: ${FIXED[name]}`;
  if (!name.includes('.')) return null;
  return 'expected the name of a parameter at the top of the request, not a path: nest objects in `set`';
}

function valueProblem(
  value: unknown,
  path: (string | number)[],
  level = 1,
): { path: (string | number)[]; message: string } | null {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return { path, message: 'expected a number that JSON can hold' };
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return null;
    return { path, message: 'expected a whole number below 2^53: a larger one loses digits' };
  }
  if (typeof value !== 'object' || value === null) return null;
  if (level > MOST_LEVELS)
    return { path: path.slice(0, 2), message: `expected at most ${MOST_LEVELS} levels of objects and lists` };
  for (const [key, inner] of Object.entries(value)) {
    const problem = valueProblem(inner, [...path, Array.isArray(value) ? Number(key) : key], level + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function hasKeys(record: Readonly<Record<string, unknown>>): boolean {
  for (const _name in record) return true;
  return false;
}
