import { FAILURES } from '../contract';
import {
  rejectedByUsage,
  withHandover,
  withIdentity,
  withParity,
  withUsage,
} from '../core/assessment/assessment';
import type { UsageFindings } from '../core/assessment/usage-digest';
import { dueRuns } from '../core/effects/effect-runs';
import type {
  ApplyResult,
  Decision,
  EffectEvent,
  HealthCheckResult,
  MigrationEvent,
  RoutingReading,
  WindowResult,
} from '../core/migration/events';
import type { AssessmentSummary, MigrationState } from '../core/migration/migration-state';
import { referencePlanOf } from '../core/plan/identity-plan';
import { activityName, firstPayload, type HistoryEvent, isObject } from './temporal-history';

/** An event of the state machine before its time is known. */
export type EventWithoutTime = MigrationEvent extends infer Event
  ? Event extends MigrationEvent
    ? Omit<Event, 'atMs'>
    : never
  : never;

/** Work under way: the activity or timer that carries a decision out, and what an activity before it has found. */
export interface Work {
  readonly id: number;
  readonly decision: Decision;
  readonly activity: string | null;
  readonly found: FindingsSoFar;
}

/** What only the workflow's own random numbers know; nothing but the routing record holds it. */
const UNKNOWN_SALT = 'not retraced';

/** The activity or timer of which an event tells the end. */
export function workOf({ attributes }: HistoryEvent): number {
  return Number(attributes['scheduledEventId'] ?? attributes['startedEventId']);
}

/** What came of a piece of work: an event, or findings that the next activity of the same decision goes on from. */
export function resultEvent(
  { decision, activity, found }: Work,
  event: HistoryEvent,
  { state, events }: { readonly state: MigrationState; readonly events: readonly HistoryEvent[] },
): EventWithoutTime | { readonly found: FindingsSoFar } | 'unknown' {
  if (event.type === 'ACTIVITY_TASK_FAILED' || event.type === 'ACTIVITY_TASK_TIMED_OUT') {
    const { failure } = event.attributes;
    const message = isObject(failure) ? String(failure['message'] ?? '') : '';
    return { type: 'activity failed', what: decision.type, message, key: decision.key };
  }
  const result = firstPayload(event.attributes['result']);
  switch (decision.type) {
    case 'read routing':
      return { type: 'routing read', reading: result as RoutingReading };
    case 'assess': {
      const field = activity === null ? undefined : FINDINGS[activity];
      if (field === undefined) return 'unknown';
      const all: FindingsSoFar = { ...found, [field]: result };
      const assessment = assessmentOf(all, state);
      if (assessment === null) return { found: all };
      return { type: 'assessed', assessment, freshSalt: saltAfter(event, events) };
    }
    case 'check health':
      return { type: 'health checked', ...(result as HealthCheckResult) };
    case 'apply routing':
      return { type: 'routing applied', checkpoint: decision.checkpoint, result: result as ApplyResult };
    case 'watch':
      return { type: 'watched', window: result as WindowResult };
    case 'wait':
      return { type: 'time passed' };
    default:
      return 'unknown';
  }
}

/** What the activities of an assessment have found so far. */
interface FindingsSoFar {
  readonly usage?: UsageFindings;
  readonly probed?: AssessmentSummary;
  readonly parity?: NonNullable<AssessmentSummary['parity']>;
  readonly identity?: NonNullable<AssessmentSummary['identity']>;
  readonly handover?: NonNullable<AssessmentSummary['handover']>;
}

/** What each activity of an assessment finds. */
const FINDINGS: Readonly<Record<string, keyof FindingsSoFar>> = {
  analyseUsage: 'usage',
  assess: 'probed',
  checkIdentity: 'identity',
  checkParity: 'parity',
  handoverProbe: 'handover',
};

/** The assessment that findings come to, as the workflow puts it together; null while another activity follows. */
function assessmentOf(
  found: FindingsSoFar,
  { plan, assessment, stage }: MigrationState,
): AssessmentSummary | null {
  const known = stage.reevaluating ? undefined : (assessment ?? undefined);
  const usage = found.usage ?? assessment?.usage;
  const rejected = usage === undefined ? null : rejectedByUsage(usage);
  if (rejected !== null) return rejected;
  if (found.probed === undefined) return null;
  let summary = usage === undefined ? found.probed : withUsage(found.probed, usage);
  if (summary.outcome !== 'pass') return summary;
  if (referencePlanOf(plan) !== null) {
    const identity = known?.identity ?? found.identity;
    if (identity === undefined) return null;
    summary = withIdentity(summary, identity);
  }
  if (plan.parity !== undefined) {
    const parity = known?.parity ?? found.parity;
    if (parity === undefined) return null;
    summary = withParity(summary, parity);
  }
  if (plan.handover?.probe === true) {
    const handover = known?.handover ?? found.handover;
    if (handover === undefined) return null;
    summary = withHandover(summary, handover);
  }
  return summary;
}

/** A fresh salt shows in the next record that was applied. */
function saltAfter({ id }: HistoryEvent, events: readonly HistoryEvent[]): string {
  const applied = events.find((event) => event.id > id && activityName(event) === 'applyRouting');
  const input = firstPayload(applied?.attributes['input']);
  const record = isObject(input) ? input['record'] : null;
  return isObject(record) && typeof record['salt'] === 'string' ? record['salt'] : UNKNOWN_SALT;
}

/** An attempt at an effect under way, beside the main work. */
export interface EffectWork {
  readonly activity: string;
  /** Of its run. */
  readonly id: number;
}

const EFFECT_ACTIVITIES: readonly (string | null)[] = [
  'captureEffect',
  'applyEffect',
  'restoreEffect',
  'confirm',
];

/** The attempt at an effect that an event begins; null for every other event. */
export function effectWork(state: MigrationState, event: HistoryEvent): EffectWork | null {
  const activity = activityName(event);
  if (activity === null || !EFFECT_ACTIVITIES.includes(activity)) return null;
  const given = firstPayload(event.attributes['input']);
  const input = isObject(given) ? given : {};
  const effect = isObject(input['effect']) ? input['effect'] : {};
  const name = input['name'] ?? effect['name'];
  const run = dueRuns(state).find(
    (due) => due.effect.name === name && (input['key'] === undefined || due.key === input['key']),
  );
  return { activity, id: run?.id ?? 0 };
}

/** What came of an attempt at an effect; null for one that was taken back. */
export function effectEvent({ activity, id }: EffectWork, event: HistoryEvent): EffectEvent | null {
  if (event.type !== 'ACTIVITY_TASK_COMPLETED') {
    const failure = isObject(event.attributes['failure']) ? event.attributes['failure'] : {};
    const info = failure['applicationFailureInfo'];
    const refused = isObject(info) && info['type'] === FAILURES.effectRefused;
    return { type: 'effect failed', id, message: String(failure['message'] ?? ''), refused };
  }
  const result = firstPayload(event.attributes['result']) as {
    captured: Extract<EffectEvent, { type: 'effect captured' }>['captured'];
    note: string;
    answer?: Extract<EffectEvent, { type: 'effect ended' }>['answer'];
  };
  if (activity === 'captureEffect') return { type: 'effect captured', id, captured: result.captured };
  return { type: 'effect ended', id, note: result.note, answer: result.answer ?? null };
}
