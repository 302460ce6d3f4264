import type { EvidenceCell } from '../../../src/core/evidence/evidence';
import { emptyCell, type FailureClass, noEvidence } from '../../../src/core/evidence/evidence';
import { withWindow } from '../../../src/core/evidence/stage/stage-window';
import { tallyOf } from '../../../src/core/evidence/traffic-tally';
import { judgeStage } from '../../../src/core/gates/judge-stage';
import { stageAt } from '../../../src/core/migration/migration-state';
import type { Arm } from '../../../src/core/routing/routing';
import { histogramOf } from '../../../src/core/statistics/histogram';
import { ANSWERING, type MigrationWorld } from './migration-world';

/** What one window counts: requests of each arm, and how many of them failed. */
export interface Traffic {
  readonly legacy: number;
  readonly candidate: number;
  readonly legacyFailures?: number;
  readonly candidateFailures?: number;
}

/** Adds a window of real evidence to a world, judged by the real gate of its stage. */
export function watchesTraffic(world: MigrationWorld, traffic: Traffic, lasting?: number): MigrationWorld {
  const { state, decision } = world;
  const record = state.inEffect?.record;
  if (decision.type !== 'watch' || record === undefined) throw new Error('expected a stage that is watched');
  const windowMs = lasting ?? decision.windowMs;
  const stage = stageAt(state.plan, state.stageIndex);
  const before = state.stage.evidence;
  const window = { ...noEvidence(record.epoch), cells: cellsOf(traffic) };
  const evidence = withWindow({ ...before, epoch: record.epoch }, window, {
    ...{ burnIn: false, shareApplied: true, share: record.share },
  });
  const verdict = judgeStage(stage, record.epoch, {
    evidence,
    windowRequests: { legacy: traffic.legacy, candidate: traffic.candidate },
    probes: ANSWERING,
    burnIn: false,
    silent: [],
    baseline: null,
    foresees: false,
  });
  return world
    .elapse(windowMs)
    .watches({ observedMs: windowMs, evidence, verdict, traffic: tallyOf(window) });
}

function cellsOf({ legacy, candidate, legacyFailures = 0, candidateFailures = 0 }: Traffic): EvidenceCell[] {
  const cell = (arm: Arm, requests: number, failures: number, slower: number): EvidenceCell => {
    const counted: Partial<Record<FailureClass, number>> = failures === 0 ? {} : { status_5xx: failures };
    return {
      ...emptyCell({ side: arm, kind: 'live', shape: 'plain', model: 'large-chat' }),
      attempts: requests,
      successes: requests - failures,
      failures: counted,
      answers: { checked: requests - failures, unchecked: 0, breaches: {}, ends: {} },
      totalMs: histogramOf(Array.from({ length: requests }, (_, at) => slower * (300 + (at % 40) * 9))),
      tokensIn: requests * 120,
      tokensOut: requests * 40,
      costLog: {
        count: requests,
        sum: requests * Math.log(0.002),
        sumOfSquares: requests * Math.log(0.002) ** 2,
      },
      costUsd: requests * (arm === 'legacy' ? 0.002 : 0.0008),
    };
  };
  const rescues = {
    ...emptyCell({ side: 'legacy', kind: 'failover', shape: 'plain', model: 'large-chat' }),
    ...{ attempts: candidateFailures, successes: candidateFailures, costUsd: candidateFailures * 0.002 },
  };
  return [
    cell('legacy', legacy, legacyFailures, 1),
    cell('candidate', candidate, candidateFailures, 1.1),
    rescues,
  ];
}
