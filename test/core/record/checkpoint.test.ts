import {
  append,
  type Checkpoint,
  checkpointAt,
  checkpointCount,
  effectOf,
  newSaltsIn,
  nothingArchived,
  openIntent,
  routingEffectsOf,
} from '../../../src/core/migration/checkpoint';
import { sealedStart, sealOf } from '../../../src/core/record/record-seal';
import { givenMigration } from '../../support/migrations/migration-world';

const NOTHING = nothingArchived('m-1');
const NOTE = {
  kind: 'recorded',
  atMs: 7,
  what: 'paused',
  stage: 'canary',
  by: 'ana',
  reason: 'lunch',
} as const;
const recorded = (reason: string) => ({ ...NOTE, reason, commandId: null });

describe('the appended record', () => {
  it('numbers its entries from 1, after those that are archived', () => {
    const first = append({ checkpoints: [], archived: NOTHING }, recorded('lunch'));
    expect(first).toEqual([{ ...NOTE, commandId: null, seq: 1 }]);
    const list = { checkpoints: first, archived: { ...NOTHING, count: 40 } };
    expect(checkpointCount(list)).toBe(41);
    expect(append(list, recorded('tea')).map(({ seq }) => seq)).toEqual([1, 42]);
  });

  it('finds an entry by its number, where it is still carried', () => {
    const checkpoints = [41, 42].map((seq) => ({ ...recorded(`n${seq}`), seq }));
    const list = { checkpoints, archived: { ...NOTHING, count: 40 } };
    expect(checkpointAt(list, 42)).toBe(checkpoints[1]);
    expect([40, 43].map((seq) => checkpointAt(list, seq))).toEqual([undefined, undefined]);
  });

  it('keeps four thousand characters of a reason', () => {
    const reasonOf = (reason: string) =>
      append({ checkpoints: [], archived: NOTHING }, recorded(reason))[0]?.reason;
    expect(reasonOf('x'.repeat(4_000))).toBe('x'.repeat(4_000));
    expect(reasonOf('x'.repeat(4_001))).toBe(`${'x'.repeat(4_000)}...`);
  });

  it('seals what was taken in so far, where that is known', () => {
    const { state } = givenMigration();
    const sealed = sealedStart(state);
    const [entry] = append({ checkpoints: [], archived: NOTHING, sealed }, recorded('lunch'));
    expect(entry?.seal).toEqual(sealOf(sealed));
    expect(append({ checkpoints: [], archived: NOTHING }, recorded('lunch'))[0]).not.toHaveProperty('seal');
  });
});

describe('changes of routing in the record', () => {
  const intended = (seq: number, cause: 'advance' | 'new salt'): Checkpoint => ({
    ...{ kind: 'intended', seq, atMs: 0, cause, stage: 'canary', share: 0.1, epoch: seq },
    ...{ by: 'ana', reason: '', commandId: null },
  });
  const closing = (seq: number, closes: number, kind: 'took effect' | 'failed'): Checkpoint => ({
    ...{ kind, seq, atMs: 0, closes, stage: 'canary', share: 0.1, epoch: closes },
    ...{ gateways: [], lapsed: [], missing: [], reason: '' },
  });
  const note = (seq: number): Checkpoint => ({ ...recorded('lunch'), seq });

  it('are open until they are closed, the last of them alone', () => {
    expect(openIntent([])).toBeNull();
    expect(openIntent([note(1)])).toBeNull();
    const open = intended(3, 'advance');
    const before = [intended(1, 'advance'), closing(2, 1, 'failed')];
    expect(openIntent(before)).toBeNull();
    expect(openIntent([...before, open, note(4)])).toBe(open);
    expect(openIntent([...before, open, closing(4, 3, 'took effect')])).toBeNull();
  });

  it('are found by either of their numbers, where they took effect', () => {
    const took = closing(4, 3, 'took effect');
    const archived = { ...NOTHING, effects: [{ seq: 2, closes: 1, atMs: 0, stage: 'assess', share: 0 }] };
    const checkpoints = [
      intended(3, 'advance'),
      took,
      intended(5, 'advance'),
      closing(6, 5, 'failed'),
      note(7),
    ];
    const list = { checkpoints, archived };
    expect(routingEffectsOf(list)).toEqual([archived.effects[0], took]);
    expect([3, 4].map((seq) => effectOf(list, seq))).toEqual([took, took]);
    expect([1, 2].map((seq) => effectOf(list, seq))).toEqual([archived.effects[0], archived.effects[0]]);
    expect([5, 6, 7, 8].map((seq) => effectOf(list, seq))).toEqual([null, null, null, null]);
  });

  it('count as new salts where that is their cause', () => {
    expect(newSaltsIn([intended(1, 'new salt'), closing(2, 1, 'took effect'), intended(3, 'advance')])).toBe(
      1,
    );
  });
});
