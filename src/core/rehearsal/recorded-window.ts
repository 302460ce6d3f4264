import { identityIn } from '../gates/judge-identity';
import { judgeStage } from '../gates/judge-stage';
import { type Baseline, FAILURES_IN_A_ROW, type GateInput, type GateVerdict } from '../gates/verdict';
import type { WindowResult } from '../migration/events';
import type { StagePlan } from '../plan/plan';

/** One observation window as history keeps it: what the watch was given, and what it returned. */
export interface RecordedWindow {
  /** Over the whole migration as far as the history goes, from 1. */
  readonly number: number;
  /** Within its stage, from 1. */
  readonly stageWindow: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly stage: StagePlan;
  readonly epoch: number;
  /** The candidate's share that was asked for. */
  readonly share: number;
  readonly baseline: Baseline | null;
  /** Soak that the stage had before this window. */
  readonly observedBeforeMs: number;
  readonly handover: boolean;
  /** How much evidence makes the candidate's model another; absent where the plan does not ask. */
  readonly identityAlpha?: number;
  readonly result: WindowResult;
}

/** Thrown for a window whose evidence this version cannot judge again. */
class UnreadableWindow extends Error {
  override readonly name = 'UnreadableWindow';
  constructor(
    readonly window: number,
    problem: string,
  ) {
    super(`window ${window} of the history cannot be judged again: ${problem}`);
  }
}

/** Judges a recorded window again, by its own stage or by another; throws `UnreadableWindow`. */
export function judgeAgain(window: RecordedWindow, stage: StagePlan = window.stage): GateVerdict {
  const { evidence } = window.result;
  if (typeof evidence?.judged?.windows !== 'number' || stage.alpha === undefined) {
    throw new UnreadableWindow(
      window.number,
      'expected evidence with segments and a stage with alpha, got those of an earlier version',
    );
  }
  try {
    return judgeStage(stage, window.epoch, gateInputOf(window));
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new UnreadableWindow(window.number, problem);
  }
}

function gateInputOf({ baseline, identityAlpha, result }: RecordedWindow): GateInput {
  const { evidence, verdict, probes, servedModel: standing = null } = result;
  return {
    evidence,
    // Only burn-in looks at the window's own requests, and its verdict says them.
    windowRequests: verdict.burnIn ? verdict.requests : { legacy: 0, candidate: 0 },
    probes,
    burnIn: verdict.burnIn,
    silent: silentIn(verdict),
    candidateFailures: failuresIn(verdict),
    ...identityOf(verdict),
    baseline,
    ...(identityAlpha === undefined ? {} : { servedModel: { standing, alpha: identityAlpha } }),
  };
}

/** Failures in a row, as the verdict names them where they paused: history has them nowhere else. */
function failuresIn({ metrics }: GateVerdict): NonNullable<GateInput['candidateFailures']> {
  const inARow = metrics.find(({ metric }) => metric === FAILURES_IN_A_ROW)?.candidate ?? 0;
  return { inARow, inWindow: inARow };
}

function identityOf({ metrics }: GateVerdict): Pick<GateInput, 'identity'> {
  const identity = identityIn(metrics);
  return identity === undefined ? {} : { identity };
}

const SILENCE = /^no evidence from (.+)$/;

/** The gateways without evidence, as the verdict names them. */
function silentIn({ metrics }: GateVerdict): readonly string[] {
  const sentence = metrics.find(({ metric }) => metric === 'gateways')?.sentence ?? '';
  return SILENCE.exec(sentence)?.[1]?.split(', ') ?? [];
}
