import { parentPort } from 'node:worker_threads';
import type { ValidateFunction } from 'ajv';
import { compileSchema } from '../schemas/compile-schema';
import { THREAD_READY } from '../schemas/deadlined-thread';

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
  const validate = compileSchema(JSON.parse(schema) as object);
  compiled.set(schema, validate);
  return validate;
}

parentPort?.on('message', (question: SchemaQuestion) => parentPort?.postMessage(answer(question)));
parentPort?.postMessage(THREAD_READY);
