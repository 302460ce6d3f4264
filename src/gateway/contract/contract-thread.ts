import { createHash } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import type { ValidateFunction } from 'ajv';
import { compileSchema } from '../../schemas/compile-schema';
import { THREAD_READY } from '../../schemas/deadlined-thread';
import { type Contract, type Judgement, judgeAnswer, type SaidChoice } from './judge-answer';
import type { KeptText } from './kept-answer';
import { readChoices } from './read-choices';
import { fieldsOf, readContract } from './read-contract';

/** One answer and what it is judged by, as `askedContract` has taken it from the request. */
export interface ContractQuestion {
  readonly contract: Uint8Array<ArrayBuffer>;
  readonly answer: KeptText;
}

/** A contract with those of its schemas that were needed so far; null for one that cannot be used. */
interface KnownContract {
  readonly contract: Contract;
  readonly validators: Map<object, ValidateFunction | null>;
  readonly bytes: number;
}

const KNOWN_AT_MOST = 512;
/** Of the contracts' JSON; what is compiled of it takes some times as much. */
const KNOWN_BYTES_AT_MOST = 4_194_304;
const NICER = 10;

/** By the digest of their JSON, the one that was used last at the end. */
const known = new Map<string, KnownContract>();
let knownBytes = 0;

function judge({ contract: json, answer }: ContractQuestion): Judgement {
  const found = knownContract(json);
  const choices = choicesOf(answer);
  if (found === null || choices === null) return 'unchecked';
  const { contract, validators } = found;
  return judgeAnswer(contract, choices, (schema, value) => {
    let validate = validators.get(schema);
    if (validate === undefined) {
      validate = compiled(schema);
      validators.set(schema, validate);
    }
    return validate === null ? 'unknown' : validate(value) === true;
  });
}

function choicesOf(answer: KeptText): readonly SaidChoice[] | null {
  if ('choices' in answer) return answer.choices;
  const fields = parsedObject(answer.body);
  return fields === null ? null : readChoices(fields);
}

function knownContract(json: Uint8Array): KnownContract | null {
  const digest = createHash('sha256').update(json).digest('base64');
  let found = known.get(digest);
  if (found === undefined) {
    const fields = parsedObject(json);
    if (fields === null) return null;
    found = { contract: readContract(fields), validators: new Map(), bytes: json.length };
    knownBytes += json.length;
  } else known.delete(digest);
  known.set(digest, found);
  forgetOldest();
  return found;
}

function forgetOldest(): void {
  for (const [digest, { bytes }] of known) {
    if (known.size <= KNOWN_AT_MOST && knownBytes <= KNOWN_BYTES_AT_MOST) return;
    known.delete(digest);
    knownBytes -= bytes;
  }
}

function compiled(schema: object): ValidateFunction | null {
  try {
    return compileSchema(schema);
  } catch {
    return null;
  }
}

function parsedObject(json: Uint8Array): Readonly<Record<string, unknown>> | null {
  try {
    return fieldsOf(JSON.parse(Buffer.from(json.buffer, json.byteOffset, json.length).toString('utf8')));
  } catch {
    return null;
  }
}

/** Traffic goes first; where a thread has no priority of its own all are alike. */
function giveWay(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICER);
  } catch {
    // Not Linux, or not allowed.
  }
}

giveWay();
parentPort?.on('message', (question: ContractQuestion) => parentPort?.postMessage(judge(question)));
parentPort?.postMessage(THREAD_READY);
