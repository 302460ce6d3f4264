import type { ListedMigration } from '../../client/listed-migration';
import type { BannerTone } from './banner';

/** One migration in the list, as Temporal's own records have it: no worker is asked. */
export interface ListedView
  extends Pick<
    ListedMigration,
    'route' | 'migrationId' | 'share' | 'paused' | 'startedAtMs' | 'closedAtMs' | 'by' | 'reason'
  > {
  /** Names the run where it is not the newest of its route. */
  readonly runId: string | null;
  readonly state: string;
  readonly tone: BannerTone | 'plain';
  readonly open: boolean;
  /** Why it ended, or why it does not advance, where Temporal keeps that; else who started it and why. */
  readonly why: string;
}

/** The list, open ones first, then the newest. */
export function listedViews(found: readonly ListedMigration[]): readonly ListedView[] {
  const newest = new Map<string, ListedMigration>();
  for (const one of found) {
    const held = newest.get(one.route);
    if (held === undefined || held.startedAtMs < one.startedAtMs) newest.set(one.route, one);
  }
  return found
    .map((one) => listedView(one, newest.get(one.route) === one))
    .sort((a, b) => Number(b.open) - Number(a.open) || b.startedAtMs - a.startedAtMs || order(a, b));
}

function order(a: ListedView, b: ListedView): number {
  return a.migrationId < b.migrationId ? -1 : 1;
}

function listedView(found: ListedMigration, isNewest: boolean): ListedView {
  const { route, migrationId, runId, status, stage, share, paused, startedAtMs, closedAtMs } = found;
  const { by, reason } = found;
  const open = status === 'RUNNING';
  const ended = status === 'COMPLETED' ? (stage ?? 'ended') : status.toLowerCase();
  return {
    ...{ route, migrationId, open, paused: open && paused, startedAtMs, closedAtMs, by, reason },
    runId: isNewest ? null : runId,
    state: open ? (stage ?? 'running') : ended,
    tone: open ? (stage === 'rolling back' ? 'danger' : 'plain') : ended === 'completed' ? 'good' : 'warning',
    share: open ? share : null,
    why: whyOf(found),
  };
}

function whyOf({ status, by, reason, headline }: ListedMigration): string {
  if (headline !== '') return causeIn(headline);
  if (status === 'RUNNING') return [by, reason].filter((text) => text !== '').join(': ');
  // Releases before this one kept the cause in the migration alone.
  return status === 'COMPLETED' ? 'open it to see why' : 'ended in Temporal, not by the migration';
}

/** A headline without what the list shows in columns of its own: outcome and time. */
function causeIn(headline: string): string {
  const [, who = '', cause] = /^[A-Z][a-z ]+ [\d-]+ [\d:]+ UTC(?: by (.*?))?: (.*)$/s.exec(headline) ?? [];
  if (cause === undefined) return headline;
  return who === '' ? cause : `${who}: ${cause}`;
}
