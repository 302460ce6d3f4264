import type { RecordEntry } from './record-entry';
import { checkSeals } from './seal-check';

/** A window that ended in the workflow task of a command ended about when the command came. */
const NEAR_MS = 10_000;
/** Further windows near commands are not tried: each costs a check of all seals. */
const TRIED_AT_MOST = 64;

/**
 * Marks as late the windows that a migration never took in although they had come to their end: a command of the same
 * workflow task pre-empted them. Temporal's history looks the same as if they had been taken in; only the seals of
 * checkpoints differ. Entries stay as they are where the seals agree with them, or with no such choice of two windows.
 */
export function withPreempted(entries: readonly RecordEntry[]): readonly RecordEntry[] {
  if (agrees(entries)) return entries;
  const near = indexesNearCommands(entries);
  const choices = [
    ...near.map((index) => [index]),
    ...near.flatMap((first, at) => near.slice(at + 1).map((second) => [first, second])),
  ];
  for (const choice of choices.slice(0, TRIED_AT_MOST)) {
    const marked = entries.map((entry, index) => (choice.includes(index) ? asLate(entry) : entry));
    if (agrees(marked)) return marked;
  }
  return entries;
}

function agrees(entries: readonly RecordEntry[]): boolean {
  const found = checkSeals(entries.map((entry, index) => ({ line: index, entry })));
  return found === null || !('problem' in found);
}

function asLate(entry: RecordEntry): RecordEntry {
  return 'verdict' in entry ? { verdict: { ...entry.verdict, late: true } } : entry;
}

function indexesNearCommands(entries: readonly RecordEntry[]): readonly number[] {
  const commandsAtMs = entries.flatMap((entry) => ('command' in entry ? [entry.command.atMs] : []));
  return entries.flatMap((entry, index) =>
    'verdict' in entry &&
    entry.verdict.late !== true &&
    commandsAtMs.some((atMs) => Math.abs(atMs - entry.verdict.atMs) <= NEAR_MS)
      ? [index]
      : [],
  );
}
