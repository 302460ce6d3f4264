import { amendedPlanProblem } from '../core/migration/amendment/amended-plan';
import type { Checkpoint, ClosingCheckpoint, IntendedCheckpoint } from '../core/migration/checkpoint';
import type { Plan } from '../core/plan/plan';
import { type ChainVerdict, entriesOf } from '../core/record/record-chain';
import type { RecordEntry, RecordedCommand, RecordedStart, WindowEntry } from '../core/record/record-entry';
import type { RecordedChange, RecordedMessage } from './recorded-migration';
import type { ReportedMigration, ReportedWindow } from './reported-migration';
import { InvalidHistory, isObject } from './temporal-history';

/**
 * What an export that was verified says of its migration; needs no Temporal, and so outlives its retention. Throws
 * `InvalidHistory` where it is too old to say how the migration was started.
 */
export function readExportedRecord(
  text: string,
  { migrationId, route, exportedAt, head }: ChainVerdict & { readonly ok: true },
): ReportedMigration {
  const entries = entriesOf(text);
  const started = startIn(entries);
  const { start, carried, archived } = started;
  const checkpoints = entries.flatMap((entry) => ('checkpoint' in entry ? [entry.checkpoint] : []));
  const end = entries.flatMap((entry) => ('end' in entry ? [entry.end] : []))[0];
  return {
    ...{ migrationId, route, plan: planInForce(start.plan, entries), by: start.by, reason: start.reason },
    startedAtMs: started.atMs,
    endedAtMs: end?.atMs ?? null,
    outcome: end === undefined ? 'running' : (end.outcome ?? end.status.toLowerCase().replaceAll('_', ' ')),
    outcomeReason: end?.reason ?? '',
    fromTheStart: carried === undefined && archived === undefined,
    asOfMs: Date.parse(exportedAt),
    notes: [
      `Made from the record that was exported at ${exportedAt}, which verifies; its head is ${head}.`,
      "A record does not contain the assessment's findings, or every attempt at a change of routing.",
    ],
    assessment: null,
    windows: windowsIn(entries, checkpoints),
    changes: changesIn(checkpoints),
    messages: entries.flatMap((entry) => ('command' in entry ? [messageOf(entry.command)] : [])),
    checkpoints: {
      ...{ list: checkpoints, source: 'an exported record', problem: null },
      archived: archived ?? null,
    },
  };
}

/** The plan of the last amendment that was accepted; the one of the start without any. */
function planInForce(started: Plan, entries: readonly RecordEntry[]): Plan {
  const amended = entries.flatMap((entry): Plan[] => {
    if (!('command' in entry) || entry.command.name !== 'amend' || entry.command.accepted !== true) return [];
    const { payload } = entry.command;
    const plan = isObject(payload) ? payload['plan'] : undefined;
    return amendedPlanProblem(plan) === null ? [plan as Plan] : [];
  });
  return amended.at(-1) ?? started;
}

function startIn(entries: readonly RecordEntry[]): RecordedStart {
  const start = entries.flatMap((entry) => ('start' in entry ? [entry.start] : []))[0];
  if (!Array.isArray(start?.start.plan?.stages)) {
    throw new InvalidHistory(
      'expected a record that says how its migration was started, with its plan; an older release exported checkpoints alone',
    );
  }
  return start;
}

/** A window is of the change of routing whose epoch it bears. */
function windowsIn(entries: readonly RecordEntry[], checkpoints: readonly Checkpoint[]): ReportedWindow[] {
  const shares = new Map(changed(checkpoints).map(({ epoch, share }) => [epoch, share]));
  const visits = new Map<number, { windows: number; observedMs: number }>();
  const verdicts = entries.flatMap((entry) => ('verdict' in entry ? [entry.verdict] : []));
  return verdicts.map((window, index) => {
    const { atMs, epoch, ended, observedMs, verdict } = readable(window);
    const visit = visits.get(epoch) ?? { windows: 0, observedMs: 0 };
    visits.set(epoch, { windows: visit.windows + 1, observedMs: visit.observedMs + observedMs });
    return {
      ...{ number: index + 1, stageWindow: visit.windows + 1, observedBeforeMs: visit.observedMs },
      ...{ endedAtMs: atMs, epoch, stage: { name: verdict.stage }, share: shares.get(epoch) ?? null },
      result: { ended: ended as ReportedWindow['result']['ended'], observedMs, verdict },
    };
  });
}

/** Whoever wrote a record may have written anything: a verdict is looked at before its numbers are. */
function readable(window: WindowEntry): WindowEntry {
  const { verdict } = window;
  if (Array.isArray(verdict.metrics) && isObject(verdict.requests)) return window;
  throw new InvalidHistory('expected verdicts with their metrics and requests, got something else');
}

function changed(checkpoints: readonly Checkpoint[]): IntendedCheckpoint[] {
  return checkpoints.filter((checkpoint) => checkpoint.kind === 'intended');
}

function changesIn(checkpoints: readonly Checkpoint[]): RecordedChange[] {
  const closings = new Map(
    checkpoints.flatMap((checkpoint): [number, ClosingCheckpoint][] =>
      'closes' in checkpoint ? [[checkpoint.closes, checkpoint]] : [],
    ),
  );
  return changed(checkpoints).map(({ seq, atMs, stage, share, epoch }) => {
    const closing = closings.get(seq);
    const took = closing?.kind === 'took effect' ? closing : undefined;
    return {
      ...{ atMs, stage, share, epoch: took?.epoch ?? epoch, confirmedAtMs: took?.atMs ?? null },
      confirmed: closing?.gateways ?? [],
      lapsed: closing?.lapsed ?? [],
      missing: closing?.missing ?? [],
    };
  });
}

function messageOf({ atMs, name, via, identity, payload }: RecordedCommand): RecordedMessage {
  if (via === 'cancel') return { atMs, via: 'cancellation', name, by: identity, reason: '' };
  const said = isObject(payload) ? payload : {};
  const by = typeof said['by'] === 'string' ? said['by'] : 'unknown';
  const reason = typeof said['reason'] === 'string' ? said['reason'] : '';
  return { atMs, via, name, by, reason };
}
