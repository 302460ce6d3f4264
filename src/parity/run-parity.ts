import { createHash } from 'node:crypto';
import type { ParityProgress, ParityReport } from '../core/assessment/parity-report';
import type { Rates } from '../core/assessment/prices';
import type { Question, Reply } from '../core/assessment/question';
import type { ParityMargins } from '../core/plan/plan';
import type { Arm } from '../core/routing/routing';
import type { AnswerJournal, RecordedCall } from './answer-journal';
import { validityOf } from './answer-validity';
import { compareReplies, type PromptComparison } from './compare-answers';
import type { GoldenPrompt } from './golden-prompt';
import { HistoryHints } from './history-hints';
import { judgeParity } from './judge-parity';
import { costOfReply, mostCostOf, ParitySpending } from './parity-spending';
import { withPrompt } from './parity-tally';
import type { SchemaChecks } from './schema-checks';

/** Everything that a run acts on. */
export interface ParityRun {
  readonly prompts: readonly GoldenPrompt[];
  /** SHA-256 of the prompts, in hexadecimal. */
  readonly golden: string;
  readonly concurrency: number;
  readonly maxCostUsd: number | null;
  readonly minimumPrompts: number;
  readonly margins: ParityMargins;
  readonly journal: AnswerJournal;
  /** Where an earlier attempt was, which may have run on another machine; null without. */
  readonly standing: ParityProgress | null;
  readonly signal: AbortSignal;
  readonly schemas: Pick<SchemaChecks, 'check'>;
  ask(provider: Arm, question: Question): Promise<Reply>;
  /** Who answers a question and how it is asked, so that another provider's answers are not taken for these. */
  identityOf(provider: Arm, question: Question): string;
  /** Prices in dollars; null where none are known. */
  ratesOf(provider: Arm, question: Question): Rates | null;
  sleep(durationMs: number, signal: AbortSignal): Promise<void>;
  /** Wall clock. */
  now(): Date;
  report(standing: ParityProgress, prompts: number): void;
}

/** The three calls of a prompt; legacy against itself is the noise floor. */
const CALLS = [
  { name: 'first', provider: 'legacy', draw: 1 },
  { name: 'candidate', provider: 'candidate', draw: 1 },
  { name: 'second', provider: 'legacy', draw: 2 },
] as const;

/**
 * Sends what was not answered yet, compares and judges. Each answer is in the journal before anything else happens,
 * so that a run that was killed pays for nothing twice but what was under way. Throws what the signal was aborted with.
 */
export async function runParity(run: ParityRun): Promise<ParityReport> {
  const { prompts, signal } = run;
  const start = progressAtStart(run);
  const progress = { standing: start.standing, stopped: null as string | null };
  const spending = new ParitySpending(run.maxCostUsd, start.standing.costUsd);
  // Providers that have answered once: from then on a broken connection is an answer's failure, not an absent provider.
  const reached = new Set<Arm>();
  const hints = new HistoryHints();
  const open = prompts.map((_, index) => index).filter((index) => !start.done.has(index));
  const takeOne = async (): Promise<void> => {
    for (;;) {
      signal.throwIfAborted();
      const index = progress.stopped === null ? open.shift() : undefined;
      const prompt = index === undefined ? undefined : prompts[index];
      if (index === undefined || prompt === undefined) return;
      const asked = await askAll(run, prompt, spending, reached);
      if ('stopped' in asked) {
        progress.stopped = asked.stopped;
        return;
      }
      const more = await lookForHints(run, prompt, asked.replies, { hints, spending, reached });
      const compared = await compare(prompt, asked.replies, run.schemas);
      progress.standing = withAnswers(progress.standing, {
        ...{ prompt, index, spending, ...asked, ...compared },
        calls: asked.calls + more,
      });
      run.report(progress.standing, prompts.length);
    }
  };
  await Promise.all(Array.from({ length: run.concurrency }, takeOne));
  const report = judgeParity(progress.standing, {
    given: prompts.length,
    minimumPrompts: run.minimumPrompts,
    margins: run.margins,
    stopped: progress.stopped,
  });
  return { ...report, notes: [...hints.texts, ...report.notes] };
}

interface ComparisonContext {
  readonly hints: HistoryHints;
  readonly spending: ParitySpending;
  readonly reached: Set<Arm>;
}

/** How many more questions were asked. */
async function lookForHints(
  run: ParityRun,
  prompt: GoldenPrompt,
  { first, candidate }: PromptReplies['replies'],
  { hints, spending, reached }: ComparisonContext,
): Promise<number> {
  const askAgain = async (provider: Arm, question: Question) => {
    const asked = await askOnce(run, { ...prompt, question }, { provider, draw: 1 }, { spending, reached });
    return 'stopped' in asked ? null : asked.reply;
  };
  const ofLegacy = await hints.look('legacy', prompt.question, first, askAgain);
  return ofLegacy + (await hints.look('candidate', prompt.question, candidate, askAgain));
}

/**
 * What is known before anything is sent. The journal has everything but what another machine was answered; only
 * where it lacks something of the standing does the run go on from that.
 */
function progressAtStart(run: ParityRun): { standing: ParityProgress; done: ReadonlySet<number> } {
  const { prompts, golden, standing, journal } = run;
  const nothing: ParityProgress = {
    golden,
    strata: {},
    done: '',
    skipped: 0,
    calls: 0,
    costUsd: 0,
    differing: [],
    answers: '0'.repeat(64),
  };
  if (standing === null || standing.golden !== golden) return { standing: nothing, done: new Set() };
  const done = new Set(prompts.map((_, index) => index).filter((index) => hasBit(standing.done, index)));
  const isHere = [...done].every((index) =>
    CALLS.every((call) => journal.find(keyOf(run, prompts[index] as GoldenPrompt, call)) !== null),
  );
  return isHere ? { standing: nothing, done: new Set() } : { standing, done };
}

type PromptReplies = {
  readonly replies: Record<'first' | 'second' | 'candidate', Reply>;
  readonly calls: number;
};

async function askAll(
  run: ParityRun,
  prompt: GoldenPrompt,
  spending: ParitySpending,
  reached: Set<Arm>,
): Promise<PromptReplies | { readonly stopped: string }> {
  const replies: Partial<PromptReplies['replies']> = {};
  for (const call of CALLS) {
    const asked = await askOnce(run, prompt, call, { spending, reached });
    if ('stopped' in asked) return asked;
    replies[call.name] = asked.reply;
  }
  return { replies: replies as PromptReplies['replies'], calls: CALLS.length };
}

/** One answer, out of the journal where it is there. */
async function askOnce(
  run: ParityRun,
  prompt: GoldenPrompt,
  { provider, draw }: { readonly provider: Arm; readonly draw: number },
  { spending, reached }: Omit<ComparisonContext, 'hints'>,
): Promise<{ readonly reply: Reply } | { readonly stopped: string }> {
  const key = keyOf(run, prompt, { provider, draw });
  const held = run.journal.find(key);
  if (held !== null) {
    spending.add(held.costUsd);
    return { reply: held.reply };
  }
  const rates = run.ratesOf(provider, prompt.question);
  const most = mostCostOf(rates, prompt.question);
  if (!spending.reserve(most)) {
    const spent = spending.spentUsd.toFixed(4);
    return { stopped: `stopped at ${spent} of ${run.maxCostUsd} USD: raise the cap to send the rest` };
  }
  const reply = await askPatiently(run, provider, prompt.question);
  const costUsd = costOfReply(rates, prompt.question, reply);
  spending.settle(most, costUsd);
  if (isLasting(reply)) {
    const at = run.now().toISOString();
    run.journal.append({
      key,
      id: prompt.id,
      side: provider,
      draw,
      reply,
      costUsd,
      at,
    } satisfies RecordedCall);
  }
  run.signal.throwIfAborted();
  if (
    !reply.ok &&
    (reply.failure === 'status_auth' || (reply.failure === 'connect' && !reached.has(provider)))
  ) {
    return { stopped: `stopped: ${provider} cannot be used (${reply.error})` };
  }
  if (reply.ok) reached.add(provider);
  return { reply };
}

const RETRY_AFTER_MS = [1_000, 4_000];

/** What cost nothing is tried again: a provider out of breath says nothing about its answers. */
async function askPatiently(run: ParityRun, provider: Arm, question: Question): Promise<Reply> {
  for (const waitMs of RETRY_AFTER_MS) {
    const reply = await run.ask(provider, question);
    if (reply.ok || !['status_429', 'status_5xx', 'connect'].includes(reply.failure)) return reply;
    await run.sleep(waitMs, run.signal);
    run.signal.throwIfAborted();
  }
  return run.ask(provider, question);
}

/** Whether asking again would bring the same; whatever else failed is asked again by the next run. */
function isLasting(reply: Reply): boolean {
  return reply.ok || reply.failure === 'status_4xx';
}

function keyOf(run: ParityRun, { question }: GoldenPrompt, call: { provider: Arm; draw: number }): string {
  return sha256([question, run.identityOf(call.provider, question), call.provider, call.draw]);
}

const DIFFERING_TOLD = 20;

function withAnswers(
  standing: ParityProgress,
  asked: PromptReplies &
    ComparedPrompt & {
      readonly prompt: GoldenPrompt;
      readonly index: number;
      readonly spending: ParitySpending;
    },
): ParityProgress {
  const { prompt, replies, comparison, what } = asked;
  return {
    ...standing,
    strata: comparison === null ? standing.strata : withPrompt(standing.strata, prompt.stratum, comparison),
    done: withBit(standing.done, asked.index),
    skipped: standing.skipped + (comparison === null ? 1 : 0),
    calls: standing.calls + asked.calls,
    costUsd: asked.spending.spentUsd,
    differing:
      what === '' || standing.differing.length >= DIFFERING_TOLD
        ? standing.differing
        : [...standing.differing, { id: prompt.id, what }],
    answers: combined(standing.answers, sha256([prompt.id, Object.values(replies).map(contentOf)])),
  };
}

interface ComparedPrompt {
  /** Null for a prompt that is left out. */
  readonly comparison: PromptComparison | null;
  /** What a person would look at; empty where nothing is apart. */
  readonly what: string;
}

/** A prompt with an answer that its schema could not judge in time is left out: nobody knows what it would show. */
async function compare(
  prompt: GoldenPrompt,
  replies: PromptReplies['replies'],
  schemas: ParityRun['schemas'],
): Promise<ComparedPrompt> {
  const validity = await validityOf(prompt, Object.values(replies), schemas);
  if ('unchecked' in validity) return { comparison: null, what: `unchecked: ${validity.unchecked}` };
  const comparison = compareReplies(prompt, replies, validity);
  return { comparison, what: comparison === null ? '' : apartIn(comparison) };
}

/** What a person would look at first: decisions, or how far off it is in words. */
function apartIn({ scores }: PromptComparison): string {
  const apart = scores.filter(
    ({ measure, self, candidate, apart: who }) =>
      who === 'candidate' && measure !== 'decisions' && self - candidate > 0.3,
  );
  return apart.map(({ measure }) => measure).join(', ');
}

function contentOf(reply: Reply): unknown {
  if (!reply.ok) return reply.failure;
  const { answer } = reply;
  return answer.kind === 'embedding' ? answer.vectors : [answer.text, answer.toolCalls, answer.finishReason];
}

/** Digests of all prompts in one, whatever their order. */
function combined(a: string, b: string): string {
  return Array.from({ length: 64 }, (_, at) =>
    (Number.parseInt(a.charAt(at), 16) ^ Number.parseInt(b.charAt(at), 16)).toString(16),
  ).join('');
}

function hasBit(digits: string, index: number): boolean {
  return (Number.parseInt(digits.charAt(index >> 2) || '0', 16) & (1 << (index & 3))) !== 0;
}

function withBit(digits: string, index: number): string {
  const padded = digits.padEnd((index >> 2) + 1, '0');
  const digit = Number.parseInt(padded.charAt(index >> 2), 16) | (1 << (index & 3));
  return padded.slice(0, index >> 2) + digit.toString(16) + padded.slice((index >> 2) + 1);
}

function sha256(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}
