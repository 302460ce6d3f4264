import type { BreachClass } from '../../../core/evidence/breach-classes';
import type { Arm } from '../../../core/routing/routing';
import type { TokenUsage } from '../../answers/token-usage';
import type { Assignment } from '../../routing/arm-draw';
import type { AttemptNote } from '../../telemetry/request-log';
import type { Attempt } from '../../upstream/attempt';
import type { Provider } from '../../upstream/provider';

/** What became of a request: how it was drawn, who was asked, who served it, and how that ended. */
export class CallRecord {
  /** The arm as drawn, null outside of the arms. */
  arm: Arm | null = null;
  /** 0 to 255 when the request has a key. */
  bucket: number | null = null;
  /** Where outcomes are taken: it was drawn, at the share that was asked for or at another; only the first counts. */
  draw: 'none' | 'as asked' | 'otherwise' = 'none';
  servedBy: Provider | null = null;
  servedModel: string | null = null;
  failover: string | null = null;
  readonly notes: AttemptNote[] = [];
  /** The attempt whose answer the caller gets. */
  answering: Attempt | null = null;
  firstTokenMs: number | null = null;
  /** As the provider that served counted; null when it did not, or its answer was not read. */
  usage: TokenUsage | null = null;
  outcome = 'success';
  /** What the caller's answer broke of its contract. */
  breach: BreachClass | null = null;

  constructor(public epoch: number) {}

  drawn({ arm, epoch, randomised, bucket }: Assignment, outcomesAre: CallRecord['draw']): void {
    this.epoch = epoch;
    this.arm = randomised ? arm : null;
    this.draw = outcomesAre;
    if (outcomesAre !== 'none') this.bucket = bucket;
  }

  /** The routing changed under the request: it is in no arm. */
  leftArm(): void {
    this.arm = null;
  }

  /** The caller gets the answer of this attempt. `failover`: why legacy answers in the candidate's place. */
  served(attempt: Attempt, model: string | null, failover: string | null = null): void {
    this.answering = attempt;
    this.servedBy = attempt.options.provider;
    this.servedModel = model;
    this.failover = failover;
  }

  asked(attempt: Attempt, purpose: string): void {
    const { failure, status, options } = attempt;
    this.notes.push({
      provider: options.provider.name,
      purpose,
      outcome: failure?.kind ?? 'success',
      ...(failure === null ? {} : { why: failure.why }),
      ...(status === 0 ? {} : { status }),
      ms: attempt.endedMs - attempt.startedMs,
    });
  }

  /** A provider was not asked. */
  shed(provider: string, purpose: string, why: string): void {
    this.notes.push({ provider, purpose, outcome: 'shed', why, ms: 0 });
  }

  /** Another provider has answered while this one is still asked. */
  outrun({ options, startedMs }: Attempt, purpose: string, nowMs: number): void {
    const ms = nowMs - startedMs;
    this.notes.push({ provider: options.provider.name, purpose, outcome: 'outrun', ms });
  }

  /** What the caller got came from this attempt. */
  attemptEnded(attempt: Attempt): void {
    this.usage = attempt.usage;
    this.firstTokenMs = attempt.firstTokenMs;
    this.outcome = attempt.failure?.kind ?? 'success';
  }

  /** The gateway itself answered, or could not. */
  endedAs(outcome: string): void {
    this.outcome = outcome;
  }

  /** What was found of the caller's answer. */
  judged(breach: BreachClass | null): void {
    this.breach = breach;
  }

  /** The caller did not take all of its answer. */
  cut(): void {
    if (this.outcome === 'success') this.outcome = 'aborted';
  }
}
