import type { CommandOutcome } from '../../client/command-outcome';
import type { CommandName } from '../../core/migration/command';
import type { MigrationStatus } from '../../core/migration/status';
import { formatShare } from '../../core/plan/plan';
import type { BannerTone } from './banner';

/** A command that was sent from this console, and what has become of it so far. */
export interface Order {
  readonly commandId: string;
  readonly name: CommandName;
  readonly label: string;
  readonly by: string;
  readonly atMs: number;
  /** Null while it is open; `failed` where sending it failed. */
  readonly end: CommandOutcome | { readonly failed: string } | null;
}

/** An order as both screens show it. */
export interface OrderView {
  readonly commandId: string;
  readonly label: string;
  readonly by: string;
  readonly atMs: number;
  readonly open: boolean;
  readonly tone: BannerTone;
  readonly text: string;
}

/** An order in words; `status` tells who is still missing while it is open. */
export function orderView(order: Order, status: MigrationStatus | null): OrderView {
  const { commandId, label, by, atMs, end } = order;
  const base = { commandId, label, by, atMs };
  if (end === null) return { ...base, open: true, tone: 'info', text: progressOf(order, status) };
  if ('failed' in end) return { ...base, open: false, tone: 'danger', text: end.failed };
  const { accepted, verified, message, share, epoch, checkpoint, gateways, lapsed, missing } = end;
  if (!accepted) return { ...base, open: false, tone: 'danger', text: `Refused: ${message}` };
  if (share === null) {
    const text = checkpoint === null ? message : `${message} (checkpoint ${checkpoint})`;
    const unverified = !verified && isRollback(order);
    return { ...base, open: false, tone: unverified ? 'danger' : 'good', text };
  }
  const facts = [
    `Verified: ${formatShare(share)} in effect`,
    ...(epoch === null ? [] : [`epoch ${epoch}`]),
    `checkpoint ${checkpoint ?? '–'}`,
    ...(gateways.length === 0 ? [] : [`confirmed by ${gateways.join(', ')}`]),
    ...(lapsed.length === 0 ? [] : [`lease over at ${lapsed.join(', ')}`]),
    ...(missing.length === 0 ? [] : [`missing ${missing.join(', ')}`]),
  ];
  return { ...base, open: false, tone: verified ? 'good' : 'danger', text: facts.join(', ') };
}

function progressOf({ commandId }: Order, status: MigrationStatus | null): string {
  const seen = status?.commands.find((command) => command.commandId === commandId);
  if (seen === undefined) return 'Sent to Temporal; waiting for a worker to take it';
  const missing = status?.pending?.missing ?? [];
  const who = missing.length === 0 ? 'being verified' : `not confirmed yet: ${missing.join(', ')}`;
  return seen.checkpoint === null ? seen.message : `Checkpoint ${seen.checkpoint}: ${seen.message}, ${who}`;
}

function isRollback({ name }: Order): boolean {
  return name === 'rollback' || name === 'emergencyRollback';
}
