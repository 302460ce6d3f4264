import type {
  Checkpoint,
  ClosingCheckpoint,
  IntendedCheckpoint,
  RecordedWhat,
} from '../core/migration/checkpoint';
import type { MigrationStatus } from '../core/migration/status';
import { formatShare } from '../core/plan/plan';

/** What became of a command. `verified` says that a change of routing took effect at every gateway it names. */
export interface CommandOutcome {
  readonly commandId: string;
  readonly accepted: boolean;
  readonly verified: boolean;
  /** The intended checkpoint that was followed, or the one that recorded the command; null when there is none. */
  readonly checkpoint: number | null;
  /** The candidate's share that took effect; null when no change of routing did. */
  readonly share: number | null;
  readonly epoch: number | null;
  readonly gateways: readonly string[];
  /** Gateways that count as confirmed because their lease has run out. */
  readonly lapsed: readonly string[];
  readonly missing: readonly string[];
  readonly message: string;
}

/**
 * What became of a command, or null while that is open. `checkpoints` are those from the one that bears the
 * command onwards, in their order.
 */
export function outcomeOf(
  commandId: string,
  status: Pick<MigrationStatus, 'commands' | 'phase' | 'outcome' | 'endedByTemporal'>,
  checkpoints: readonly Checkpoint[],
): CommandOutcome | null {
  const outcome = outcomeSoFar(commandId, status, checkpoints);
  const { endedByTemporal, commands } = status;
  if (outcome !== null || endedByTemporal === undefined) return outcome;
  // Nobody goes on with what was open when the run was ended.
  const { checkpoint = null } = commands.find((command) => command.commandId === commandId) ?? {};
  const message = `the migration's run was ${endedByTemporal} before this was verified`;
  return without(commandId, { accepted: true, message, checkpoint });
}

function outcomeSoFar(
  commandId: string,
  status: Pick<MigrationStatus, 'commands' | 'phase' | 'outcome' | 'endedByTemporal'>,
  checkpoints: readonly Checkpoint[],
): CommandOutcome | null {
  const seen = status.commands.find((command) => command.commandId === commandId);
  if (seen === undefined) {
    if (status.phase !== 'closed') return null;
    return without(commandId, {
      accepted: false,
      message: `the migration is closed: ${status.endedByTemporal ?? status.outcome}`,
    });
  }
  const { accepted, message, checkpoint } = seen;
  const entry = checkpoints.find(({ seq }) => seq === checkpoint);
  if (!accepted || checkpoint === null || entry === undefined) {
    return without(commandId, { accepted, message, checkpoint });
  }
  if (entry.kind === 'recorded' && entry.what !== 'promoted') {
    return without(commandId, { accepted, message, checkpoint });
  }
  if (entry.kind !== 'recorded') return followRouting(commandId, checkpoint, checkpoints);

  // A promotion is recorded first; its change of routing follows when the health check has passed.
  const next = checkpoints.find((later) => later.seq > checkpoint && !isAside(later));
  if (next === undefined) return null;
  if (next.kind === 'intended' && next.commandId === commandId) {
    return followRouting(commandId, next.seq, checkpoints);
  }
  const why =
    next.kind === 'recorded' ? `${next.what}: ${next.reason}` : `overtaken by checkpoint ${next.seq}`;
  return without(commandId, { accepted, message: why, checkpoint });
}

function followRouting(
  commandId: string,
  from: number,
  checkpoints: readonly Checkpoint[],
): CommandOutcome | null {
  let seq = from;
  for (;;) {
    const closing = checkpoints.find(
      (entry): entry is ClosingCheckpoint => 'closes' in entry && entry.closes === seq,
    );
    if (closing === undefined) return null;
    if (closing.kind === 'took effect') return closed(commandId, closing, true);
    // What overtook a rollback and goes at least as far is its continuation; so is share 0 after a failed one.
    const next = checkpoints.find(
      (entry): entry is IntendedCheckpoint => entry.kind === 'intended' && entry.seq > closing.seq,
    );
    const goesOn =
      next !== undefined &&
      next.share <= closing.share &&
      (next.cause === 'rollback' || next.cause === 'emergency');
    if (!goesOn) return closed(commandId, closing, false);
    seq = next.seq;
  }
}

function closed(commandId: string, closing: ClosingCheckpoint, verified: boolean): CommandOutcome {
  const { closes, share, epoch, gateways, lapsed, missing, kind, reason } = closing;
  return {
    commandId,
    accepted: true,
    verified,
    checkpoint: closes,
    share: verified ? share : null,
    epoch: verified ? epoch : null,
    gateways,
    lapsed,
    missing,
    message: verified ? `share ${formatShare(share)} took effect` : `${kind}: ${reason}`,
  };
}

function without(
  commandId: string,
  said: { readonly accepted: boolean; readonly message: string; readonly checkpoint?: number | null },
): CommandOutcome {
  const none = { share: null, epoch: null, gateways: [], lapsed: [], missing: [] };
  return { commandId, verified: false, checkpoint: null, ...none, ...said };
}

/** Entries that say nothing about a promotion that waits for its health check. */
const ASIDE: readonly RecordedWhat[] = ['lapse', 'restarted', 'roster', 'forgotten', 'drift cleared'];

function isAside(entry: Checkpoint): boolean {
  return entry.kind === 'recorded' && ASIDE.includes(entry.what);
}
