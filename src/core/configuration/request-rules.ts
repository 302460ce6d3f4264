import { z } from 'zod';
import { isJsonObject } from '../text/json-object';
import { followHistory, type HistoryRules, renamedFields } from './history-rules';

/** More levels than any parameter has; YAML can make an object that contains itself. */
const MOST_LEVELS = 32;

/** These decide who answers and how the gateway reads it. */
const FIXED: Readonly<Record<string, string>> = {
  model: "`candidate` sets the candidate's name of a model, and legacy gets the caller's",
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

/** Fewer, and two ids of a conversation could become one. */
const FEWEST_DIGITS = 9;
/** As many as a SHA-256 has bytes. */
const MOST_DIGITS = 32;

/** The form of a tool call's id: a prefix, then letters and digits up to a length. */
const toolCallIdsSchema = z
  .strictObject({
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9_-]{0,16}$/, 'expected at most 16 letters, digits, dashes and underscores')
      .default('')
      .describe('How each id begins, such as call_ or toolu_.'),
    length: z.int().describe('Characters of an id, the prefix included.'),
  })
  .refine(
    ({ prefix, length }) => length - prefix.length >= FEWEST_DIGITS && length - prefix.length <= MOST_DIGITS,
    { path: ['length'], error: `expected ${FEWEST_DIGITS} to ${MOST_DIGITS} characters after the prefix` },
  );

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
        .describe(
          `Fields of assistant messages that ${provider} does not accept, such as reasoning_content.`,
        ),
      toolCallIds: toolCallIdsSchema
        .optional()
        .describe(
          `The ids of tool calls that ${provider} accepts, such as {length: 9} or {prefix: call_, length: 29}. An id of another form is replaced by one that follows from it, in calls and in their results.`,
        ),
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
      drop: z.array(z.string()).default([]).describe(`Request parameters that ${provider} does not accept.`),
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

/** Whether rules change nothing. */
export function isEmpty({ rename, drop, set, history }: RequestRules): boolean {
  return drop.length === 0 && !hasKeys(rename) && !hasKeys(set) && !changesHistory(history);
}

/** Whether rules change the messages of a conversation. */
export function changesHistory(history: HistoryRules | undefined): history is HistoryRules {
  if (history === undefined) return false;
  return history.drop.length > 0 || hasKeys(history.rename) || history.toolCallIds !== undefined;
}

/** A parsed body by the rules, as the gateway rewrites the bytes of one. */
export function followRules(body: object, rules: RequestRules): Record<string, unknown> {
  const fields = renamedFields(body, rules);
  for (const [name, value] of Object.entries(rules.set)) fields.set(name, merged(fields.get(name), value));
  const { history } = rules;
  const messages = fields.get('messages');
  if (changesHistory(history) && Array.isArray(messages)) {
    fields.set('messages', followHistory(messages, history));
  }
  return Object.fromEntries(fields);
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
