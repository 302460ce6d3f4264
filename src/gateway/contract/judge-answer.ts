import type { BreachClass } from '../../core/evidence/breach-classes';
import { ASKED_BREACHES } from '../../core/evidence/breach-classes';

/** A call of a tool, as an answer makes it. */
export interface MadeCall {
  readonly name: string;
  /** JSON for a function; the text of a tool of the caller's own form. */
  readonly arguments: string;
  readonly isFunction: boolean;
}

/** What one choice of an answer says. */
export interface SaidChoice {
  readonly text: string;
  readonly calls: readonly MadeCall[];
  /** A tool that the provider runs itself was called. */
  readonly callsHosted: boolean;
}

/** What a request asks of its answer, beyond what it says of every answer. */
export interface Contract {
  /** Null where no JSON is asked for. */
  readonly json: { readonly schema: object | null } | null;
  /** The schema of each tool that may be called; null for one without. */
  readonly tools: ReadonlyMap<string, object | null>;
  /** The tool that has to be called, `true` for any. */
  readonly required: string | boolean;
}

/** Whether a value keeps to a schema; `unknown` when the schema cannot be used. */
export type KeepsTo = (schema: object, value: unknown) => boolean | 'unknown';

/** What was found of an answer. */
export type Judgement = BreachClass | 'kept' | 'unchecked';

/** The first class that one of the choices breaches. A breach is one whatever else could not be checked. */
export function judgeAnswer(contract: Contract, choices: readonly SaidChoice[], keepsTo: KeepsTo): Judgement {
  const found = choices.flatMap((choice) => judgeChoice(contract, choice, keepsTo));
  const breach = ASKED_BREACHES.find((name) => found.includes(name));
  return breach ?? (found.includes('unchecked') ? 'unchecked' : 'kept');
}

function judgeChoice(contract: Contract, choice: SaidChoice, keepsTo: KeepsTo): Judgement[] {
  const { text, calls, callsHosted } = choice;
  const found = calls.map((call) => judgeCall(contract, call, keepsTo));
  // Whoever calls a tool may say so in words; JSON is asked for where nothing is called.
  if (contract.json !== null && calls.length === 0 && text !== '') {
    found.push(judgeJson(contract.json.schema, text, keepsTo));
  }
  const { required } = contract;
  const isCalled =
    typeof required === 'string'
      ? calls.some(({ name }) => name === required)
      : !required || callsHosted || calls.length > 0;
  if (!isCalled) found.push('tool_missing');
  return found;
}

function judgeJson(schema: object | null, text: string, keepsTo: KeepsTo): Judgement {
  const value = parsed(text);
  if (value === undefined) return 'json_unparsed';
  return schema === null ? 'kept' : judgementOf(keepsTo(schema, value), 'json_schema');
}

function judgeCall({ tools }: Contract, call: MadeCall, keepsTo: KeepsTo): Judgement {
  const schema = tools.get(call.name);
  if (schema === undefined) return 'tool_unknown';
  if (!call.isFunction) return 'kept';
  // A tool without parameters is called with nothing by some models.
  const value = call.arguments.trim() === '' ? {} : parsed(call.arguments);
  if (value === undefined) return 'tool_unparsed';
  return schema === null ? 'kept' : judgementOf(keepsTo(schema, value), 'tool_schema');
}

function judgementOf(keeps: boolean | 'unknown', breach: BreachClass): Judgement {
  if (keeps === 'unknown') return 'unchecked';
  return keeps ? 'kept' : breach;
}

/** A JSON text's value; undefined for what is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
