import { mergeJudge, NOTHING_JUDGED } from '../../../src/core/evidence/judge-counts';
import { EvidenceStore } from '../../../src/gateway/evidence/evidence-store';
import { RouteCounts } from '../../../src/gateway/processes/route-counts';

const lost = { epoch: 1, bucket: 7, result: 'lost', costUsd: 0.25 } as const;
const busy = { epoch: 1, bucket: null, result: 'busy', costUsd: 0 } as const;

it('is read since a cursor, each pair once, also where other processes have counted', () => {
  const store = new EvidenceStore('one');
  const serving = new RouteCounts(() => undefined);
  store.recordJudged(lost);
  serving.recordJudged({ ...lost, result: 'tie' });
  serving.recordJudged(busy);
  for (const addition of serving.take(1, { legacy: 0, candidate: 0 })?.evidence ?? []) store.merge(addition);
  const { cursor, evidence } = store.read(1);
  store.recordJudged({ ...lost, bucket: 9, result: 'won' });
  const later = store.read(1, cursor).evidence.judge;
  expect(later).toEqual({ rows: [[9, 0, 1, 0]], unjudged: {}, costUsd: 0.25 });
  expect(store.read(1, store.read(1).cursor).evidence).not.toHaveProperty('judge');
  expect(mergeJudge([evidence.judge ?? NOTHING_JUDGED, later ?? NOTHING_JUDGED])).toEqual({
    rows: [
      [7, 1, 0, 1],
      [9, 0, 1, 0],
    ],
    unjudged: { busy: 1 },
    costUsd: 0.75,
  });
});
