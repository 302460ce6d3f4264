import { foreignHeaders, repeatedRequests, wrongAnswers } from './answer-laws';
import { type Evidence, readEvidence } from './evidence';
import { brokenRecords, evidenceCountedOnce, evidenceLost, lostRollbacks, openEnds } from './record-laws';
import { afterKill, afterRollback, olderEpochs, sharesGranted, withoutRenewal } from './routing-laws';

/** Laws by their name; each gives a sentence per breach. */
export const LAWS: Readonly<Record<string, (evidence: Evidence) => string[]>> = {
  'no wrong or silently cut answer': wrongAnswers,
  'nothing tried twice that must not be': repeatedRequests,
  'no foreign key or header': foreignHeaders,
  'nothing to the candidate after a verified rollback': afterRollback,
  'nothing to the candidate after a kill': afterKill,
  'nothing on a lease that nobody can renew': withoutRenewal,
  'no more than the share that was granted': sharesGranted,
  'no older epoch than one confirmed': olderEpochs,
  'a whole record': brokenRecords,
  'evidence counted once': evidenceCountedOnce,
  'no evidence lost': evidenceLost,
  'no rollback lost': lostRollbacks,
  'an end, or what it waits for': openEnds,
};

/** What became of an episode. */
export interface Checked {
  /** One sentence per breach of a law; none in a good episode. */
  readonly problems: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** How its migration ended, or that it names what it waits for. */
  readonly end: string;
}

const SHOWN = 5;

/** Checks the logs of one episode. */
export function checkEpisode(folder: string): Checked {
  return checkEvidence(readEvidence(folder));
}

export function checkEvidence(evidence: Evidence): Checked {
  const problems = Object.entries(LAWS).flatMap(([law, check]) => {
    const found = check(evidence);
    const more = found.length > SHOWN ? [`${law}: and ${found.length - SHOWN} more`] : [];
    return [...found.slice(0, SHOWN).map((problem) => `${law}: ${problem}`), ...more];
  });
  return { problems, counts: countsOf(evidence), end: endOf(evidence) };
}

function countsOf({ callers, arrivals, exports }: Evidence): Readonly<Record<string, number>> {
  const rollbacks = exports.flatMap(({ checkpoints }) =>
    checkpoints.filter(
      ({ kind, share, closes }) =>
        kind === 'took effect' && share === 0 && checkpoints[closes - 1]?.cause !== 'baseline',
    ),
  );
  return {
    requests: callers.length,
    answered: callers.filter(({ status, end }) => status === 200 && end === 'clean').length,
    'at the candidate': arrivals.filter(({ provider, nonce }) => provider === 'candidate' && nonce !== null)
      .length,
    'verified rollbacks': rollbacks.length,
    checkpoints: exports.reduce((sum, { checkpoints }) => sum + checkpoints.length, 0),
  };
}

function endOf({ events }: Evidence): string {
  const end = events.findLast(({ what }) => what === 'end');
  if (end === undefined) return 'no end';
  return end['closed'] === true ? String(end['outcome'] ?? 'ended by Temporal') : `open: ${end['waitsFor']}`;
}
