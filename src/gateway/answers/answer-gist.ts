import type { BreachClass } from '../../core/evidence/breach-classes';
import { PLAIN_BREACHES } from '../../core/evidence/breach-classes';
import type { AnswerEnd } from '../../core/evidence/evidence';
import type { ChoiceFacts } from './answer-part';
import { CALL, type Holdings, NOTHING_HELD, outputHoldings, REASONING, REFUSAL, TEXT } from './holdings';

/** A choice beside the first. */
interface ChoiceGist {
  holds: Holdings;
  end: AnswerEnd;
}

/**
 * What an answer has come to, whether it came as a stream or in one piece: what its choices hold and how they ended.
 * No text is kept in it but the names of the model and its fingerprint.
 */
export class AnswerGist {
  /** `model` and `system_fingerprint` as the answer gives them. */
  model: string | null = null;
  fingerprint: string | null = null;
  /** Of the only choice, or of the first. */
  #holds: Holdings = NOTHING_HELD;
  #end: AnswerEnd = 'nothing';
  /** The other choices by index; only where more than one was asked for. */
  readonly #others: Map<number, ChoiceGist> | null;

  constructor(choices: number) {
    this.#others = choices > 1 ? new Map() : null;
  }

  /** What all choices hold together. */
  get holds(): Holdings {
    let holds = this.#holds;
    if (this.#others !== null) for (const other of this.#others.values()) holds |= other.holds;
    return holds;
  }

  /** A caller can use something of the only choice, and it is more than a refusal. */
  get isUsable(): boolean {
    return (this.#holds & (TEXT | CALL)) !== 0;
  }

  /** The first class that one of the choices breaches whatever was asked; null when none does. */
  get breach(): BreachClass | null {
    const first = breachOf(this.#holds, this.#end);
    if (this.#others === null) return first;
    const breaches = [first, ...[...this.#others.values()].map(({ holds, end }) => breachOf(holds, end))];
    return PLAIN_BREACHES.find((name) => breaches.includes(name)) ?? null;
  }

  /** How the answer ended: by the first choice that breaches, else by the first one. */
  get end(): AnswerEnd {
    if (this.#others !== null && breachOf(this.#holds, this.#end) !== this.breach) {
      const { breach } = this;
      for (const { holds, end } of this.#others.values()) {
        if (breachOf(holds, end) === breach) return endOf(holds, end);
      }
    }
    return endOf(this.#holds, this.#end);
  }

  /** Takes what is known of the answer besides its choices, once. */
  takeNames(json: Readonly<Record<string, unknown>>): void {
    const model = json['model'];
    const fingerprint = json['system_fingerprint'];
    if (typeof model === 'string' && model !== '') this.model = model;
    if (typeof fingerprint === 'string' && fingerprint !== '') this.fingerprint = fingerprint;
  }

  takeChoice({ index, holds, end }: ChoiceFacts): void {
    if (this.#others === null || index === 0) {
      this.#holds |= holds;
      if (end !== 'nothing') this.#end = end;
      return;
    }
    const other = this.#others.get(index);
    if (other === undefined) this.#others.set(index, { holds, end });
    else {
      other.holds |= holds;
      if (end !== 'nothing') other.end = end;
    }
  }

  /** Takes a piece of the only choice. */
  hold(holds: Holdings): void {
    this.#holds |= holds;
  }

  /** Takes a response, complete or as far as it has come. */
  takeResponse(response: Readonly<Record<string, unknown>>): void {
    this.#holds |= outputHoldings(response['output']);
    this.#end = responseEnd(response, this.#holds);
  }
}

function breachOf(holds: Holdings, end: AnswerEnd): BreachClass | null {
  // A provider that refuses says so, whatever had come before.
  if (end === 'refusal') return 'refusal';
  if ((holds & (TEXT | CALL | REFUSAL)) === 0) return (holds & REASONING) === 0 ? 'empty' : 'reasoning_only';
  if (end === 'length') return 'cut';
  if (end === 'content_filter') return 'content_filter';
  return (holds & (TEXT | CALL)) === 0 ? 'refusal' : null;
}

function endOf(holds: Holdings, end: AnswerEnd): AnswerEnd {
  const isRefusal = (holds & REFUSAL) !== 0 && (holds & (TEXT | CALL)) === 0;
  return isRefusal && end === 'stop' ? 'refusal' : end;
}

const REASONS: Readonly<Record<string, AnswerEnd>> = {
  max_output_tokens: 'length',
  content_filter: 'content_filter',
};

function responseEnd(
  { status, incomplete_details: details }: Readonly<Record<string, unknown>>,
  holds: Holdings,
): AnswerEnd {
  if (typeof status !== 'string') return 'nothing';
  if (status === 'completed') return (holds & (TEXT | CALL)) === CALL ? 'tool_calls' : 'stop';
  const reason: unknown =
    typeof details === 'object' && details !== null ? Reflect.get(details, 'reason') : null;
  return typeof reason === 'string' && Object.hasOwn(REASONS, reason)
    ? (REASONS[reason] as AnswerEnd)
    : 'other';
}
