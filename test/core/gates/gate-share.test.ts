import { addPackedRows, packRow, unpackRow } from '../../../src/core/evidence/rate-row';
import type { StageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { noStageEvidence } from '../../../src/core/evidence/stage/stage-evidence';
import { withWindow } from '../../../src/core/evidence/stage/stage-window';
import { seededRandom } from '../../../src/core/rehearsal/rehearsal';
import { ratioExceeds } from '../../../src/core/statistics/rate-ratio';
import { aCell, aStage, EPOCH, evidenceOf, judged, metricOf } from '../../support/migrations/gate-evidence';
import { drawEvents, mostFalseDecisions } from '../../support/statistics-draws';

type ArmCounts = readonly [requests: number, failures: number];

interface Window {
  readonly legacy: ArmCounts;
  readonly candidate: ArmCounts;
  readonly shareApplied?: boolean;
  readonly left?: readonly [legacy: number, candidate: number];
}

const stage = aStage('canary');

/** Most windows are calm; in one the keys of the candidate are busier than the share says, and both fail. */
const CALM: Window = { legacy: [9_000, 9], candidate: [1_000, 1] };
const BUSY_OUTAGE: Window = { legacy: [1_000, 200], candidate: [1_000, 200] };

function stageAfter(windows: readonly Window[], models: readonly string[] = ['large-chat']): StageEvidence {
  return windows.reduce((evidence, { legacy, candidate, left = [0, 0], shareApplied = true }) => {
    const cells = models.flatMap((model, index) => {
      const cell = (arm: 'legacy' | 'candidate', [requests, failures]: ArmCounts, gone: number) => {
        const counted = aCell(arm, { requests, failures: index === 0 ? failures : 0, model });
        return { ...counted, attempts: counted.attempts + gone, aborted: gone };
      };
      return [cell('legacy', legacy, left[0]), cell('candidate', candidate, left[1])];
    });
    return withWindow(evidence, evidenceOf(cells), { burnIn: false, shareApplied, share: stage.share });
  }, noStageEvidence(EPOCH));
}

describe('at complete', () => {
  it.each([
    ['nothing fails', 0],
    ['both fail', 30],
  ])(
    'a gateway that serves legacy all the same, as after a kill, can be judged where %s',
    (_name, failures) => {
      const complete = aStage('complete');
      const cells = [
        aCell('legacy', { requests: 100, failures }),
        aCell('candidate', { requests: 300, failures }),
      ];
      for (const shareApplied of [true, false]) {
        const kind = { burnIn: false, shareApplied, share: complete.share };
        const evidence = withWindow(noStageEvidence(EPOCH), evidenceOf(cells), kind);
        expect(judged(complete, evidence).harm).toBeNull();
      }
    },
  );
});

describe('windows in which the arms have another share', () => {
  it('are no harm of an equal candidate when an outage of both falls into one', () => {
    const evidence = stageAfter([CALM, CALM, BUSY_OUTAGE]);
    expect(judged(stage, evidence).harm).toBeNull();
    expect(metricOf(judged(stage, evidence), 'errors').eValue).toBeLessThan(1);
    // The share of the whole stage, which is wrong here: the same counts are harm beyond doubt.
    const [moved, stayed] = [3_000, 19_000];
    const whole = ratioExceeds(1.5, moved / (moved + stayed));
    expect(whole(202, 202 + 218)).toBeGreaterThan(-Math.log(stage.alpha.rollback / 2));
  });

  it('are no harm in one model of several either', () => {
    const evidence = stageAfter([CALM, CALM, BUSY_OUTAGE], ['large-chat', 'small-chat', 'code']);
    expect(judged(stage, evidence).harm).toBeNull();
  });

  it('still show what the candidate alone fails', () => {
    const worse: Window = { legacy: [1_000, 50], candidate: [1_000, 200] };
    expect(judged(stage, stageAfter([CALM, CALM, worse])).harm).toBe('errors');
  });

  it('do not make it look as if callers of the candidate left more often', () => {
    const leaving: Window = { ...BUSY_OUTAGE, candidate: [1_000, 1], legacy: [1_000, 1], left: [300, 300] };
    const calm: Window = { ...CALM, left: [9, 1] };
    expect(judged(stage, stageAfter([calm, calm, leaving])).harm).toBeNull();
    const alone: Window = { ...leaving, left: [30, 300] };
    expect(judged(stage, stageAfter([calm, calm, alone])).harm).toBe('callers who left');
  });

  it('do not break the floor where both fall below it', () => {
    expect(metricOf(judged(stage, stageAfter([CALM, CALM, BUSY_OUTAGE])), 'floor').harm).toBe(false);
  });

  it('say as little about an equal candidate by chance as any other, over many outages', () => {
    const random = seededRandom(5);
    let rolledBack = 0;
    for (let run = 0; run < 200; run += 1) {
      const windows = Array.from({ length: 30 }, (): Window => {
        const busy = random() < 0.2;
        const rate = busy ? 0.1 : 0.005;
        const [stayed, moved] = busy ? [600, 400] : [900, 100];
        return {
          legacy: [stayed, drawEvents(stayed, rate, random)],
          candidate: [moved, drawEvents(moved, rate, random)],
        };
      });
      if (metricOf(judged(stage, stageAfter(windows)), 'errors').harm) rolledBack += 1;
    }
    expect(rolledBack).toBeLessThanOrEqual(mostFalseDecisions(200, stage.alpha.rollback / 2));
  });
});

describe('a window in which the share was not applied throughout', () => {
  /** The candidate served while both failed, and had lapsed for most of the window. */
  const LAPSED: Window = { legacy: [9_700, 1_000], candidate: [300, 100], shareApplied: false };

  it('is no harm by the floor, whose comparison expects at least the share that was asked for', () => {
    const long: Window = { legacy: [100_000, 50], candidate: [0, 0], shareApplied: false };
    const evidence = stageAfter([CALM, long, LAPSED]);
    expect(metricOf(judged(stage, evidence), 'floor').harm).toBe(false);
    // By the share that the whole stage has had: harm.
    const whole = ratioExceeds(1, 1_300 / (1_300 + 118_700));
    expect(whole(101, 101 + 1_059)).toBeGreaterThan(Math.log(1_000));
  });

  it('is harm where the candidate fails far more than its share', () => {
    const broken: Window = { legacy: [9_700, 10], candidate: [300, 280], shareApplied: false };
    expect(judged(stage, stageAfter([CALM, broken])).harm).toBe('floor');
  });
});

it('keeps what each window expects through packing and adding', () => {
  const row = {
    rates: [900, 9, 100, 2],
    left: { legacy: 3, candidate: 1 },
    shed: { legacy: 0, candidate: 4 },
    strata: [[900, 9, 100, 2]],
    expected: { failures: 1.1, left: 0.4, strata: [1.1] },
  } as const;
  expect(unpackRow(packRow(row))).toEqual(row);
  const sum = unpackRow(addPackedRows(packRow(row), packRow(row)));
  expect(sum.expected).toEqual({ failures: 2.2, left: 0.8, strata: [2.2] });
});

it('judges rows of older releases, which do not say what their windows expect, by the share of the stage', () => {
  const { expected, ...row } = unpackRow('');
  expect(expected).toBeUndefined();
  const old = packRow({ ...row, rates: [900, 9, 100, 2] });
  const later = stageAfter([CALM]).rates?.segments[0]?.evidence ?? '';
  expect(later).toContain('|');
  expect(unpackRow(addPackedRows(old, later))).toMatchObject({ rates: [9_900, 18, 1_100, 3] });
  expect(unpackRow(addPackedRows(old, later)).expected).toBeUndefined();
});
