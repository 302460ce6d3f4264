import { parentPort } from 'node:worker_threads';
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020';
import draft7 from 'ajv/dist/refs/json-schema-draft-07.json';
import addFormats from 'ajv-formats';

/** What a thread is asked: whether a schema compiles, or, with a value as JSON, whether the value keeps to it. */
export interface SchemaQuestion {
  readonly schema: string;
  readonly value: string | null;
}

/** `problem` says why a schema cannot be used, in one line; null when it can. */
export interface SchemaAnswer {
  readonly problem: string | null;
  readonly keeps: boolean;
}

// Schemas of tools come from many hands: unknown keywords are theirs to have.
const ajv = new Ajv2020({ strict: false, logger: false, unicodeRegExp: false });
ajv.addMetaSchema(draft7);
addFormats(ajv);

const compiled = new Map<string, ValidateFunction>();
const COMPILED_KEPT = 1_000;

function answer({ schema, value }: SchemaQuestion): SchemaAnswer {
  let validate: ValidateFunction;
  try {
    validate = validatorOf(schema);
  } catch (error) {
    const problem = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { problem: problem.slice(0, 200), keeps: false };
  }
  return { problem: null, keeps: value !== null && validate(JSON.parse(value)) === true };
}

function validatorOf(schema: string): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  if (compiled.size >= COMPILED_KEPT) compiled.clear();
  // An $id would be remembered, and the same tool stands in many prompts.
  const { $id: _, ...anonymous } = JSON.parse(schema) as { $id?: unknown };
  const validate = ajv.compile(anonymous);
  // It keeps what it compiled for good; we keep what we need of it.
  ajv.removeSchema(anonymous);
  compiled.set(schema, validate);
  return validate;
}

parentPort?.on('message', (question: SchemaQuestion) => parentPort?.postMessage(answer(question)));
