import type { Checkpoint } from '../../core/migration/checkpoint';
import type { AssessmentSummary } from '../../core/migration/migration-state';
import type { MigrationStatus, RollbackEligibility } from '../../core/migration/status';
import type { RampStatus } from '../../core/plan/ramp';
import { type ActionView, actionsOf, type ProviderNames } from './action';
import { type ArmsView, armsOf } from './arm-view';
import { type Banner, bannersOf } from './banner';
import { type CheckpointLine, checkpointLine } from './checkpoint-line';
import { type GateView, gateOf, type ShownVerdict } from './gate-view';
import { type GatewaySighting, type GatewayView, gatewayViews } from './gateway-view';
import type { OrderView } from './order';
import { type Outlook, outlookOf } from './outlook';
import { type SeriesView, seriesOf } from './series';
import type { Trouble } from './trouble';

/** Everything that was learned of one migration; what could not be had is null or empty. */
export interface MigrationSighting {
  readonly status: MigrationStatus;
  /** All that are known, oldest first. */
  readonly verdicts: readonly ShownVerdict[];
  readonly checkpoints: readonly Checkpoint[];
  readonly eligibility: RollbackEligibility | null;
  readonly assessment: AssessmentSummary | null;
  readonly gateways: readonly GatewaySighting[];
  readonly providers: ProviderNames | null;
  readonly orders: readonly OrderView[];
  readonly trouble: Trouble | null;
}

/**
 * What both screens show of one migration. Plain JSON, by parts, so that a part that did not change need not be
 * sent again; moments are absolute, so that a view does not change while nothing happens.
 */
export interface MigrationView {
  readonly head: HeadView;
  readonly banners: readonly Banner[];
  readonly stages: MigrationStatus['stages'];
  readonly clock: ClockView;
  readonly gateways: readonly GatewayView[];
  /** Pages that are open call it so. */
  readonly sides: ArmsView;
  readonly gate: GateView;
  readonly series: SeriesView;
  readonly checkpoints: { readonly total: number; readonly newest: readonly CheckpointLine[] };
  readonly actions: readonly ActionView[];
  readonly orders: readonly OrderView[];
}

export interface HeadView {
  readonly route: string;
  readonly migrationId: string;
  readonly providers: ProviderNames;
  readonly phase: MigrationStatus['phase'];
  readonly outcome: MigrationStatus['outcome'];
  /** The stage it is in; where it was when it ended. */
  readonly stage: string;
  readonly share: number;
  readonly shareAsked: number;
  readonly observedShare: number | null;
  readonly epoch: number;
  readonly doing: string;
  readonly startedAtMs: number;
}

/** Times of the current stage; null where there is none to wait for. */
export interface ClockView {
  readonly soak: {
    readonly observedMs: number;
    readonly requiredMs: number;
    readonly windows: number;
  } | null;
  /** On the way to the stage's own share, from which its soak counts; absent: it is there. */
  readonly ramp?: RampStatus;
  readonly deadlineAtMs: number | null;
  /** What happens then to a stage that has not passed; absent from older workers. */
  readonly deadlineThen?: 'hold' | 'rollback';
  /** Outside the rollout hours: when the share may next be raised. */
  readonly nextPossibleAtMs: number | null;
  /** What happens next if nobody does anything; null where somebody has to decide. */
  readonly outlook: Outlook | null;
}

const UNNAMED: ProviderNames = { legacy: 'legacy', candidate: 'candidate' };
const CHECKPOINTS_SHOWN = 40;

/** The view of a sighting: pure, so that equal sightings give equal views. */
export function migrationView(sighting: MigrationSighting): MigrationView {
  const { status, verdicts, checkpoints, eligibility, assessment, gateways, orders, trouble } = sighting;
  const providers = sighting.providers ?? UNNAMED;
  const { soak, phase, ending = null } = status;
  // After a rollback the state is back in its first stage: what decided is shown.
  const decided = ending === null ? undefined : verdicts.findLast(({ stage }) => stage === ending.stage);
  const shown: MigrationStatus =
    decided === undefined || ending === null ? status : { ...status, stage: ending.stage, verdict: decided };
  const banners = bannersOf(status, gateways, trouble);
  const isBlocked = banners.some(({ blocks }) => blocks);
  return {
    head: {
      route: status.route,
      migrationId: status.migrationId,
      providers,
      phase,
      outcome: status.outcome,
      stage: shown.stage,
      share: status.share,
      shareAsked: status.shareAsked,
      observedShare: status.observedShare,
      epoch: status.epoch,
      doing: status.doing,
      startedAtMs: status.startedAtMs,
    },
    banners,
    stages: status.stages,
    clock: {
      soak: phase === 'closed' || phase === 'handover' || soak.requiredMs === 0 ? null : soak,
      ...(status.ramp === undefined ? {} : { ramp: status.ramp }),
      deadlineAtMs: status.deadlineAtMs,
      ...(status.deadlineThen === undefined ? {} : { deadlineThen: status.deadlineThen }),
      // Absent in the statuses of older workers.
      nextPossibleAtMs: status.nextPossibleAtMs ?? null,
      outlook: isBlocked ? null : outlookOf(status, verdicts.at(-1)?.atMs ?? null),
    },
    gateways: gatewayViews(status, gateways),
    sides: armsOf(shown, decided === undefined ? gateways : []),
    gate: gateOf(shown, assessment),
    series: seriesOf(verdicts, checkpoints),
    checkpoints: {
      total: status.checkpoints,
      newest: (checkpoints.length === 0 ? status.lastCheckpoints : checkpoints)
        .slice(-CHECKPOINTS_SHOWN)
        .map(checkpointLine)
        .reverse(),
    },
    actions: actionsOf(status, eligibility, providers),
    orders,
  };
}
