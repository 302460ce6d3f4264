import { saidOnce } from '../../core/gates/harm-text';
import type { Checkpoint } from '../../core/migration/checkpoint';
import { formatShare } from '../../core/plan/plan';
import type { BannerTone } from './banner';

/** One checkpoint as people read it; texts come from people and are no markup. */
export interface CheckpointLine {
  readonly seq: number;
  readonly atMs: number;
  readonly what: string;
  readonly stage: string;
  readonly share: string;
  readonly epoch: number | null;
  readonly by: string;
  readonly why: string;
  readonly tone: BannerTone | 'plain';
}

/** A checkpoint in words. */
export function checkpointLine(entry: Checkpoint): CheckpointLine {
  const { seq, atMs, stage } = entry;
  switch (entry.kind) {
    case 'recorded': {
      const { what, by, reason } = entry;
      const why = saidOnce(reason);
      return { seq, atMs, what, stage, share: '', epoch: null, by, why, tone: toneOfRecord(what) };
    }
    case 'intended': {
      const { cause, share, epoch, by, reason: why } = entry;
      const back = cause === 'rollback' || cause === 'emergency';
      return {
        ...{ seq, atMs, stage, epoch, by, why },
        what: `intended: ${cause}`,
        share: formatShare(share),
        tone: back ? 'danger' : 'plain',
      };
    }
    default: {
      const { kind, closes, share, epoch, gateways, lapsed, missing, reason } = entry;
      const why = [
        `checkpoint ${closes}`,
        gateways.length === 0 ? '' : `confirmed by ${gateways.join(', ')}`,
        lapsed.length === 0 ? '' : `lease over at ${lapsed.join(', ')}`,
        missing.length === 0 ? '' : `missing ${missing.join(', ')}`,
        reason,
      ].filter((part) => part !== '');
      return {
        ...{ seq, atMs, stage, epoch, by: '' },
        // "4 took effect" reads as a count.
        what: kind,
        share: formatShare(share),
        why: why.join('; '),
        tone: kind === 'took effect' ? 'good' : 'warning',
      };
    }
  }
}

const RECORD_TONES: Readonly<Record<string, BannerTone>> = {
  harm: 'danger',
  drift: 'danger',
  'rolled back': 'danger',
  rejected: 'danger',
  'forgotten share': 'warning',
  'health check failed': 'warning',
  override: 'warning',
  paused: 'warning',
  held: 'warning',
  lapse: 'warning',
  deadline: 'warning',
  'approval expired': 'warning',
  'not confirmed': 'warning',
  'effect pending': 'warning',
  'effect escalated': 'warning',
  'effect given up': 'warning',
  approved: 'good',
  completed: 'good',
};

/** Records that this version does not know are shown plainly. */
function toneOfRecord(what: string): CheckpointLine['tone'] {
  return RECORD_TONES[what] ?? 'plain';
}
