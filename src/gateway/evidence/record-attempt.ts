import { CALL, TEXT } from '../answers/holdings';
import { hasGist } from '../answers/plain-answer';
import { askedContract } from '../contract/asked-contract';
import type { Judgement } from '../contract/judge-answer';
import type { KeptAnswer } from '../contract/kept-answer';
import type { RequestFacts } from '../request/request-facts';
import type { Assignment } from '../routing/arm-draw';
import type { Call } from '../serving/call/call';
import type { Attempt } from '../upstream/attempt';
import { breachOf, type SeenAnswer } from './answer-tally';
import type { Observation } from './evidence-cell';
import { observeAttempt, type SeenAttempt } from './observation';

/** What a request is judged by. */
export interface JudgedRequest {
  readonly facts: RequestFacts;
  readonly body: Buffer;
}

/**
 * Counts an attempt, and what was found of its answer: at once, or where a schema says what the answer has to be, as
 * soon as that is known. Nobody waits for it.
 */
export function recordAttempt(
  call: Call,
  { facts, body }: JudgedRequest,
  assignment: Assignment,
  seen: SeenAttempt,
): void {
  const { attempt } = seen;
  const judgement = attempt === null ? null : judge(call, facts, seen.outcome, attempt);
  const answer = judgement === null || judgement === 'asked' ? null : seenAnswer(attempt, judgement);
  const observation = observeAttempt(call, facts, assignment, seen, answer);
  call.route.evidence.record(observation);
  if (answer !== null) announce(call, observation, attempt, answer);
  if (judgement === 'asked') ask(call, { facts, body }, observation, attempt as Attempt);
  else attempt?.judgeAs(judgement);
}

/** What is found of an answer by what it holds; `asked` where its text has to be judged; null for no answer. */
function judge(
  call: Call,
  facts: RequestFacts,
  outcome: Observation['outcome'],
  attempt: Attempt,
): Judgement | 'asked' | null {
  const { endpoint } = call.traffic;
  if (!hasGist(endpoint)) return null;
  // An answer with nothing in it is a failure, and is counted among the answers all the same.
  if (outcome !== 'success') return outcome === 'truncated' && attempt.isEmpty ? 'empty' : null;
  const { gist } = attempt;
  if (gist === null) return 'unchecked';
  const { breach, holds } = gist;
  if (breach !== null) return breach;
  const { asks } = facts;
  // In a stream of which nothing is kept, a call after a text shows in how it ends.
  if (asks === null) {
    const isCall = gist.end === 'tool_calls' && (endpoint === 'chat' || endpoint === 'messages');
    return isCall ? 'tool_unknown' : 'kept';
  }
  if ((holds & CALL) !== 0 || (asks.json && (holds & TEXT) !== 0)) return 'asked';
  return asks.call ? 'tool_missing' : 'kept';
}

function seenAnswer(attempt: Attempt | null, judgement: Judgement): SeenAnswer {
  const gist = attempt?.gist ?? null;
  if (gist === null) return { judgement, end: null, model: null, fingerprint: null };
  return { judgement, end: gist.end, model: gist.model, fingerprint: gist.fingerprint };
}

/** Has the text judged by what the request asked for. */
function ask(call: Call, { facts, body }: JudgedRequest, counted: Observation, attempt: Attempt): void {
  const { memory, services, route } = call;
  const { epoch, side, kind, shape, model, bucket } = counted;
  const isAnswer = call.record.answering === attempt;
  if (isAnswer) call.awaitJudgement();
  const done = (judgement: Judgement) => {
    const answer = seenAnswer(attempt, judgement);
    route.evidence.recordAnswer({ epoch, side, kind, shape, model, bucket, answer });
    announce(call, counted, attempt, answer);
    attempt.judgeAs(judgement);
    if (isAnswer) call.judged();
  };
  const kept = attempt.takeKept();
  const contract = keptContract(kept, facts, body);
  if (kept === null || contract === null || !memory.take(contract.length)) {
    kept?.release();
    done('unchecked');
  } else services.answerChecks.check({ contract, answer: kept, account: memory, done });
}

function keptContract(kept: KeptAnswer | null, { fields }: RequestFacts, body: Buffer): Buffer | null {
  return kept === null || kept.isLost || fields === null || body.length === 0
    ? null
    : askedContract(body, fields);
}

function announce(
  call: Call,
  { side, kind }: Observation,
  attempt: Attempt | null,
  answer: SeenAnswer,
): void {
  if (kind === 'live') call.services.metrics.answerJudged(call.route.name, side, answer.judgement);
  if (call.record.answering === attempt) call.record.judged(breachOf(answer));
}
