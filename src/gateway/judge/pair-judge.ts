import {
  type AnswerPair,
  DEFAULT_RUBRIC,
  JUDGE_TOKENS,
  judgeMessages,
  judgeRequest,
  pairResult,
  readJudgement,
  refusedParameter,
} from '../../core/assessment/judge-pairs';
import type { JudgeOrder } from '../../core/routing/judge-order';
import { costUsd } from '../answers/token-usage';
import type { Caller } from '../callers/callers';
import { readChoices } from '../contract/read-choices';
import { parseObject } from '../request/request-facts';
import { ShadowLedger } from '../serving/shadow-ledger';
import type { MemoryAccount } from '../sockets/memory-budget';
import { Attempt } from '../upstream/attempt';
import type { AnswerSink, AttemptServices } from '../upstream/attempt-options';
import type { Provider } from '../upstream/provider';
import type { JudgedPair } from './judge-tally';

/** A pair of answers that waits for its judge. */
export interface PairToJudge extends Pick<AnswerPair, 'prompt' | 'legacy' | 'candidate'> {
  readonly epoch: number;
  /** Of its caller: what waits is held there. */
  readonly account: MemoryAccount;
  readonly order: JudgeOrder;
  /** Whether anybody still asks for it: the routing may have changed while it waited. */
  readonly isWanted: () => boolean;
  /** Called once with what came of it. */
  readonly done: (result: JudgedPair['result'], costUsd: number) => void;
}

interface QueuedPair {
  readonly pair: PairToJudge;
  readonly provider: Provider;
  readonly bytes: number;
  readonly mostUsd: number;
}

/** What one question to a judge came to; the text is null where it gave no answer. */
interface QuestionOutcome {
  readonly text: string | null;
  readonly costUsd: number;
}

/** Connections of one process to a judge's provider, which no caller's request shares. */
export const JUDGE_CONNECTIONS = 8;
const PAIRS_AT_ONCE = 4;
const WAITING_AT_MOST = 32;
/** For one answer of the judge, at most; less where its provider's `timeouts.plainTotal` is. */
const ANSWER_MS = 60_000;
const ANSWER_BYTES = 262_144;
/** A pair is held once as it is, and once in each of both questions. */
const COPIES = 3;

/**
 * Asks a model which of two answers is better, both ways round, for pairs that this process holds. Nobody waits for it: a
 * few pairs at a time are asked about and some more wait; a pair without room or money counts as not judged.
 */
export class PairJudge {
  readonly #providers: ReadonlyMap<string, Provider>;
  readonly #ledger: ShadowLedger;
  /** Parameters that a provider has refused, by provider and model. */
  readonly #refused = new Map<string, Set<string>>();
  #waiting: QueuedPair[] = [];
  #underWay = 0;
  #isClosed = false;

  /** `providers` are of its own, so that no breaker or connection of callers is theirs; `parts` divide the money. */
  constructor(providers: ReadonlyMap<string, Provider>, parts: number) {
    this.#providers = providers;
    this.#ledger = new ShadowLedger(parts);
  }

  /** Takes a pair, or says at once why not. */
  take(pair: PairToJudge, services: AttemptServices): void {
    const { order, account, epoch } = pair;
    const provider = this.#providers.get(order.provider);
    const questionBytes = bytesOf(pair);
    const bytes = COPIES * questionBytes;
    const questionUsd = provider === undefined ? null : mostCost(provider, order.model, questionBytes);
    if (provider === undefined || questionUsd === null) {
      pair.done('failed', 0);
      return;
    }
    const mostUsd = 2 * questionUsd;
    if (this.#isClosed || this.#waiting.length >= WAITING_AT_MOST || !account.take(bytes)) {
      pair.done('busy', 0);
      return;
    }
    if (!this.#ledger.reserveWithin(epoch, order.usd, mostUsd)) {
      account.give(bytes);
      pair.done('no money', 0);
      return;
    }
    this.#waiting.push({ pair, provider, bytes, mostUsd });
    this.#goOn(services);
  }

  /** What waits is not judged any more; what is under way ends with its connections. */
  close(): void {
    this.#isClosed = true;
    for (const waiting of this.#waiting.splice(0)) this.#end(waiting, 'busy', 0);
  }

  #goOn(services: AttemptServices): void {
    while (this.#underWay < PAIRS_AT_ONCE) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      if (next.pair.isWanted()) void this.#judge(next, services);
      else this.#end(next, 'busy', 0);
    }
  }

  async #judge(waiting: QueuedPair, services: AttemptServices): Promise<void> {
    this.#underWay += 1;
    let result: JudgedPair['result'] = 'failed';
    let spentUsd = waiting.mostUsd;
    try {
      const [legacyFirst, candidateFirst] = await Promise.all([
        this.#ask(waiting, 'legacy', services),
        this.#ask(waiting, 'candidate', services),
      ]);
      spentUsd = legacyFirst.costUsd + candidateFirst.costUsd;
      if (legacyFirst.text !== null && candidateFirst.text !== null) {
        result = pairResult(readJudgement(legacyFirst.text), readJudgement(candidateFirst.text));
      }
    } catch (error) {
      services.defects.report(error, { during: 'judge' });
    }
    this.#underWay -= 1;
    this.#end(waiting, result, spentUsd);
    this.#goOn(services);
  }

  #end({ pair, bytes, mostUsd }: QueuedPair, result: JudgedPair['result'], spentUsd: number): void {
    pair.account.give(bytes);
    this.#ledger.settle(pair.epoch, mostUsd, spentUsd);
    pair.done(result, spentUsd);
  }

  /** A refusal that names a parameter of ours is answered by asking without it. */
  async #ask(
    { pair, provider }: QueuedPair,
    first: 'legacy' | 'candidate',
    services: AttemptServices,
  ): Promise<QuestionOutcome> {
    const { model, rubric = DEFAULT_RUBRIC } = pair.order;
    const key = `${provider.name} ${model}`;
    const refused = this.#refused.get(key) ?? new Set<string>();
    this.#refused.set(key, refused);
    const messages = judgeMessages(pair, rubric, first);
    for (;;) {
      const without = new Set(refused);
      const body = Buffer.from(JSON.stringify(judgeRequest(model, messages, without)));
      const asked = await ask(provider, body, services);
      if (asked === null) return { text: null, costUsd: 0 };
      const { failure, status, heldBody } = asked.attempt;
      const named = failure === null ? null : refusedParameter(status, heldBody.toString('utf8'), without);
      if (named === null) return outcomeOf(asked, mostCost(provider, model, body.length) ?? 0, model);
      refused.add(named);
    }
  }
}

interface JudgeAttempt {
  readonly attempt: Attempt;
  /** Null where it gave none, or one of more than `ANSWER_BYTES`. */
  readonly answer: Buffer | null;
}

/**
 * Asks a judge and waits for the end; null where its provider is to be left alone. Deadlines, keys, breaker and Retry-After
 * are those of every attempt.
 */
async function ask(
  provider: Provider,
  body: Buffer,
  services: AttemptServices,
): Promise<JudgeAttempt | null> {
  const nowMs = services.now();
  if (provider.sheds(JUDGE, nowMs) !== null) return null;
  const answerMs = Math.min(ANSWER_MS, provider.configuration.timeouts.plainTotal);
  return new Promise((resolve, reject) => {
    let answer: Buffer | null = null;
    const sink: AnswerSink = {
      ...{ begin: () => {}, flush: () => {}, write: () => true, end: () => {}, breakOff: () => {} },
      whole: (_status, _headers, pieces) => {
        answer = Buffer.concat(pieces);
      },
    };
    new Attempt(
      {
        ...{ provider, caller: JUDGE, method: 'POST', path: provider.path('/chat/completions', '', JUDGE) },
        ...{ headers: provider.headers(['content-type', 'application/json'], JUDGE, nowMs), body },
        ...{ endpoint: 'chat', streams: false, mayStream: false, choices: 1, asks: null, keeps: false },
        ...{ holds: true, reads: true, removesUsage: false, replayable: false, permit: null },
        limits: {
          ...{ answerMs, firstContentMs: answerMs, idleMs: answerMs },
          patienceMs: Number.POSITIVE_INFINITY,
        },
        maxHeldBytes: ANSWER_BYTES,
      },
      {
        attemptCommitted: () => sink,
        attemptEnded: (attempt) => resolve({ attempt, answer }),
        attemptBroke: () => reject(new Error('expected to ask the judge, a defect ended it')),
      },
      services,
    ).dispatch();
  });
}

/** The gateway itself asks, for no caller. */
const JUDGE: Caller = { team: 'cutover judge', keys: new Map(), headers: {}, limits: null };

/** What a failure costs is not known where it came after the question had been sent: then it is the most. */
function outcomeOf({ attempt, answer }: JudgeAttempt, mostUsd: number, model: string): QuestionOutcome {
  const { failure, sent, options } = attempt;
  if (failure !== null) return { text: null, costUsd: sent && failure.ambiguous ? mostUsd : 0 };
  const usage = attempt.usage;
  const paidUsd = usage === null ? null : costUsd(options.provider.configuration.prices, model, usage);
  return { text: textOf(answer), costUsd: paidUsd ?? mostUsd };
}

function textOf(answer: Buffer | null): string {
  const json = answer === null ? null : parseObject(answer.toString('utf8'));
  return json === null ? '' : (readChoices(json)[0]?.text ?? '');
}

/** Bytes of one question. No tokenizer makes more tokens of a text than it has bytes. */
function bytesOf({ order, ...pair }: PairToJudge): number {
  const messages = judgeMessages(pair, order.rubric ?? DEFAULT_RUBRIC, 'legacy');
  return Buffer.byteLength(JSON.stringify(judgeRequest(order.model, messages, NOTHING_REFUSED)));
}

const NOTHING_REFUSED: ReadonlySet<string> = new Set();

/** The most that a question of `bytes` bytes may cost, USD; null without a price. */
function mostCost({ configuration }: Provider, model: string, bytes: number): number | null {
  const usage = { input: bytes, cached: 0, written: 0, output: JUDGE_TOKENS };
  return costUsd(configuration.prices, model, usage);
}
